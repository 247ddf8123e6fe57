// SPDX-License-Identifier: Apache-2.0
//! Where members lie in the structures of the running kernel, by its BTF. Aya reads BTF too, but keeps the members to
//! itself. See Documentation/bpf/btf.rst of the kernel for the format.

use std::fs;

const VMLINUX: &str = "/sys/kernel/btf/vmlinux";
const MAGIC: u32 = 0xeb9f;

// Kinds of types, by what follows their three common words.
const INT: u32 = 1;
const ARRAY: u32 = 3;
const STRUCT: u32 = 4;
const UNION: u32 = 5;
const ENUM: u32 = 6;
const TYPEDEF: u32 = 8;
const VOLATILE: u32 = 9;
const CONST: u32 = 10;
const RESTRICT: u32 = 11;
const FUNC_PROTO: u32 = 13;
const VAR: u32 = 14;
const DATASEC: u32 = 15;
const DECL_TAG: u32 = 17;
const TYPE_TAG: u32 = 18;
const ENUM64: u32 = 19;

pub struct Btf {
    words: Vec<u32>,
    /// Which of the words each type starts at; types are numbered from 1.
    types: Vec<usize>,
    strings: Vec<u8>,
}

#[derive(Clone, Copy)]
struct Type<'a> {
    words: &'a [u32],
}

struct Member {
    name: u32,
    of: u32,
    bit: u32,
}

impl Type<'_> {
    fn name(self) -> u32 {
        self.words[0]
    }

    fn kind(self) -> u32 {
        (self.words[1] >> 24) & 0x1f
    }

    fn length(self) -> usize {
        (self.words[1] & 0xffff) as usize
    }

    /// What it refers to, if it is of a kind that refers to a type.
    fn of(self) -> u32 {
        self.words[2]
    }

    /// How many words follow the common three; None if this kind is not known.
    fn following(self) -> Option<usize> {
        match self.kind() {
            INT | VAR | DECL_TAG => Some(1),
            ARRAY => Some(3),
            STRUCT | UNION | DATASEC | ENUM64 => Some(3 * self.length()),
            ENUM | FUNC_PROTO => Some(2 * self.length()),
            1..=TYPE_TAG => Some(0),
            _ => None,
        }
    }

    fn members(self) -> impl Iterator<Item = Member> {
        let has_bitfields = self.words[1] >> 31 != 0;
        self.words[3..].chunks_exact(3).take(self.length()).map(move |member| Member {
            name: member[0],
            of: member[1],
            bit: if has_bitfields { member[2] & 0xff_ffff } else { member[2] },
        })
    }
}

impl Btf {
    pub fn of_running_kernel() -> Result<Btf, String> {
        let bytes = fs::read(VMLINUX).map_err(|error| format!("cannot read {VMLINUX}: {error}"))?;
        Btf::parse(&bytes).ok_or_else(|| format!("cannot understand {VMLINUX}"))
    }

    fn parse(bytes: &[u8]) -> Option<Btf> {
        let words_at = |start: usize, length: usize| -> Option<Vec<u32>> {
            let bytes = bytes.get(start..start.checked_add(length)?)?;
            Some(bytes.chunks_exact(4).map(|word| u32::from_ne_bytes([word[0], word[1], word[2], word[3]])).collect())
        };
        let header = words_at(0, 24)?;
        if header[0] & 0xffff != MAGIC {
            return None;
        }
        let [start, types_start, types_length, strings_start, strings_length] =
            [header[1], header[2], header[3], header[4], header[5]].map(|word| word as usize);
        let words = words_at(start + types_start, types_length)?;
        let strings = bytes.get(start + strings_start..)?.get(..strings_length)?.to_vec();

        let mut types = Vec::new();
        let mut at = 0;
        while at < words.len() {
            types.push(at);
            at += 3 + Type { words: words.get(at..at + 3)? }.following()?;
        }
        (at == words.len()).then_some(Btf { words, types, strings })
    }

    /// The offset in bytes of a member, as in `("file", "f_path.dentry")`.
    pub fn offset(&self, structure: &str, path: &str) -> Result<u32, String> {
        let mut found: Vec<u32> = self
            .types()
            .filter(|candidate| candidate.kind() == STRUCT && self.is(candidate.name(), structure))
            .filter_map(|candidate| self.offset_in(candidate, path))
            .collect();
        found.dedup();
        match found[..] {
            [bit] if bit % 8 == 0 => Ok(bit / 8),
            [] => Err(format!("this kernel's struct {structure} has no {path}")),
            _ => Err(format!("this kernel's struct {structure} is ambiguous as to where {path} is")),
        }
    }

    fn offset_in(&self, structure: Type<'_>, path: &str) -> Option<u32> {
        path.split('.')
            .try_fold((structure, 0), |(within, bits), name| {
                let (of, bit) = self.member(within, name)?;
                Some((of, bits + bit))
            })
            .map(|(_, bit)| bit)
    }

    /// The type of a member and its offset in bits: of this structure's own or of a nameless structure or union within.
    fn member<'a>(&'a self, structure: Type<'a>, name: &str) -> Option<(Type<'a>, u32)> {
        structure.members().find_map(|member| {
            let of = self.resolve(member.of)?;
            if self.is(member.name, name) {
                return Some((of, member.bit));
            }
            if member.name == 0 && matches!(of.kind(), STRUCT | UNION) {
                return self.member(of, name).map(|(of, bit)| (of, member.bit + bit));
            }
            None
        })
    }

    fn types(&self) -> impl Iterator<Item = Type<'_>> {
        self.types.iter().map(|&at| Type { words: &self.words[at..] })
    }

    /// The type of a number, without qualifiers and other names.
    fn resolve(&self, number: u32) -> Option<Type<'_>> {
        let found = Type { words: &self.words[*self.types.get((number as usize).checked_sub(1)?)?..] };
        match found.kind() {
            TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG => self.resolve(found.of()),
            _ => Some(found),
        }
    }

    fn is(&self, name: u32, string: &str) -> bool {
        let rest = self.strings.get(name as usize..).unwrap_or_default();
        rest.strip_prefix(string.as_bytes()).is_some_and(|rest| rest.first() == Some(&0))
    }
}
