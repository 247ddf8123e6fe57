// SPDX-License-Identifier: Apache-2.0
//! Work in a process of its own, so that its memory is never the tracer's.

use std::fs::File;
use std::io::{self, Read, Write};
use std::mem::MaybeUninit;
use std::os::fd::{FromRawFd, IntoRawFd};
use std::ptr::null_mut;

const DONE: u8 = 1;
const FAILED: u8 = 0;

/// What is worked out, or why it cannot be. No other thread may be running.
pub fn apart<T: Copy>(work: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    let (from, to) = pipe().map_err(|error| format!("cannot make a pipe: {error}"))?;
    // SAFETY: there is one thread, so the child has all of the process.
    match unsafe { libc::fork() } {
        -1 => Err(format!("cannot fork: {}", io::Error::last_os_error())),
        0 => {
            tell(to, work());
            // SAFETY: always.
            unsafe { libc::_exit(0) }
        }
        child => {
            drop(to);
            let found = hear(from);
            // SAFETY: a plain system call. An error can only be that a signal has come.
            while unsafe { libc::waitpid(child, null_mut(), 0) } < 0
                && io::Error::last_os_error().kind() == io::ErrorKind::Interrupted
            {}
            found
        }
    }
}

fn pipe() -> io::Result<(File, File)> {
    let mut ends = [-1; 2];
    // SAFETY: the kernel fills in two descriptors, which are nobody else's.
    match unsafe { libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC) } {
        0 => Ok(unsafe { (File::from_raw_fd(ends[0]), File::from_raw_fd(ends[1])) }),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Were it not heard, the other side would see the end and no answer.
fn tell<T: Copy>(mut to: File, found: Result<T, String>) {
    let _ = match &found {
        // SAFETY: it is read as bytes by a process with the same layout.
        Ok(value) => to.write_all(&[DONE]).and_then(|()| {
            to.write_all(unsafe { std::slice::from_raw_parts((&raw const *value).cast::<u8>(), size_of::<T>()) })
        }),
        Err(error) => to.write_all(&[FAILED]).and_then(|()| to.write_all(error.as_bytes())),
    };
    let _ = to.into_raw_fd();
}

fn hear<T: Copy>(mut from: File) -> Result<T, String> {
    let mut said = Vec::new();
    from.read_to_end(&mut said).map_err(|error| format!("cannot hear of it: {error}"))?;
    match said.split_first() {
        Some((&DONE, bytes)) if bytes.len() == size_of::<T>() => {
            let mut value = MaybeUninit::<T>::uninit();
            // SAFETY: these are the bytes of a T.
            unsafe {
                value.as_mut_ptr().cast::<u8>().copy_from(bytes.as_ptr(), bytes.len());
                Ok(value.assume_init())
            }
        }
        Some((&FAILED, error)) => Err(String::from_utf8_lossy(error).into_owned()),
        _ => Err("the process that reads the kernel's BTF ended without an answer".to_string()),
    }
}
