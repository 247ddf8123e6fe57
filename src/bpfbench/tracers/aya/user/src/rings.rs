// SPDX-License-Identifier: Apache-2.0
//! The ring, or the rings: more than one are in an array of maps, which Aya 0.13 can neither declare nor make. With
//! --buffer perf each stands for a perf buffer.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};

use aya::Ebpf;
use aya::maps::{Map, MapData, RingBuf};
use aya::util::nr_cpus;
use aya_obj::EbpfSectionKind;
use aya_obj::generated::{bpf_attr, bpf_cmd, bpf_map_type};
use aya_obj::maps::{LegacyMap, bpf_map_def};

use crate::kernel::{bpf, take_map};
use crate::message::reason;
use crate::options::{Buffer, Options, Rings};
use crate::perf::{self, PerfBuffer};

/// What events come out of.
pub enum Ring {
    Bpf(RingBuf<MapData>),
    Perf(PerfBuffer),
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> RawFd {
        match self {
            Ring::Bpf(ring) => ring.as_raw_fd(),
            Ring::Perf(buffer) => buffer.as_raw_fd(),
        }
    }
}

/// Of an object whose programs are yet to be loaded.
pub fn make(ebpf: &mut Ebpf, options: &Options) -> Result<Vec<Ring>, String> {
    if options.buffer == Buffer::Perf {
        return perf::open(ebpf, options);
    }
    let count = match options.rings {
        Rings::Count(count) => count,
        Rings::Cpu => nr_cpus().map_err(|(what, error)| format!("cannot count the CPUs: {what}: {error}"))? as u32,
    };
    // [snippet rings]
    let mut maps = vec![take_map(ebpf, "EVENTS")];
    for _ in 1..count {
        maps.push(another(options.ringbuf_bytes)?);
    }
    // By CPU there is an array even if there is one CPU.
    if options.rings != Rings::Count(1) {
        replace(ebpf, &maps).map_err(|error| format!("cannot make an array of rings: {error}"))?;
    }
    let rings = maps.into_iter().map(RingBuf::try_from);
    // [end rings]
    let rings = rings.map(|ring| ring.map(Ring::Bpf)).collect::<Result<_, _>>();
    rings.map_err(|error| format!("cannot map the ring: {}", reason(&error)))
}

fn another(bytes: u32) -> Result<Map, String> {
    let definition = LegacyMap {
        def: bpf_map_def {
            map_type: bpf_map_type::BPF_MAP_TYPE_RINGBUF as u32,
            max_entries: bytes,
            ..Default::default()
        },
        section_index: 0,
        section_kind: EbpfSectionKind::Maps,
        symbol_index: None,
        data: Vec::new(),
    };
    let data = MapData::create(aya_obj::Map::Legacy(definition), "EVENTS", None);
    data.map(Map::RingBuf).map_err(|error| format!("cannot make a ring: {}", reason(&error)))
}

/// Puts an array of the rings in the place of the map that the object has for it. The programs name a map by its
/// descriptor, which the kernel looks up when it loads them: so the descriptor is made to be the array's.
fn replace(ebpf: &mut Ebpf, rings: &[Map]) -> io::Result<()> {
    let rings: Vec<u32> = rings.iter().map(|ring| fd_of(ring) as u32).collect();
    // [snippet rings]
    let array = array_of(&rings)?;
    let place = fd_of(ebpf.map("RINGS").expect("a map is in its object"));
    // SAFETY: a plain system call, and both are open.
    match unsafe { libc::dup3(array.as_raw_fd(), place, libc::O_CLOEXEC) } {
        ..0 => Err(io::Error::last_os_error()),
        _ => Ok(()),
    }
    // [end rings]
}

fn fd_of(map: &Map) -> RawFd {
    match map {
        Map::RingBuf(data) | Map::Array(data) => data.fd().as_fd().as_raw_fd(),
        _ => unreachable!("it is a ring, or what stands for the array of them"),
    }
}

fn array_of(rings: &[u32]) -> io::Result<OwnedFd> {
    // SAFETY: of both attributes zeros are valid, what they point to is there, and a new descriptor is nobody else's.
    unsafe {
        // [snippet rings]
        let mut attr: bpf_attr = MaybeUninit::zeroed().assume_init();
        let made = &mut attr.__bindgen_anon_1;
        made.map_type = bpf_map_type::BPF_MAP_TYPE_ARRAY_OF_MAPS as u32;
        made.key_size = size_of::<u32>() as u32;
        made.value_size = size_of::<u32>() as u32;
        made.max_entries = rings.len() as u32;
        made.inner_map_fd = rings[0];
        let array = OwnedFd::from_raw_fd(bpf(bpf_cmd::BPF_MAP_CREATE, &mut attr)?);
        // [end rings]
        for (index, ring) in (0u32..).zip(rings) {
            let mut attr: bpf_attr = MaybeUninit::zeroed().assume_init();
            let put = &mut attr.__bindgen_anon_2;
            put.map_fd = array.as_raw_fd() as u32;
            put.key = &raw const index as u64;
            put.__bindgen_anon_1.value = &raw const *ring as u64;
            bpf(bpf_cmd::BPF_MAP_UPDATE_ELEM, &mut attr)?;
        }
        Ok(array)
    }
}
