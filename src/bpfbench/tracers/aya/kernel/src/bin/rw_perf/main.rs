// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
//! rw-tracer and rw-tracer-all with --buffer perf.
#![no_std]
#![no_main]

#[path = "../../hooks/mod.rs"]
mod hooks;
mod ring;
#[path = "../../rw/mod.rs"]
mod rw;

use rw::{enter, enter_at, enter_vfs, leave};
