// SPDX-License-Identifier: Apache-2.0
//! What programs are attached to.

use std::any::Any;

use aya::Btf;
use aya::programs::{FEntry, FExit, KProbe, Program, ProgramError, TracePoint};

/// A program and where it belongs.
pub struct Probe {
    pub program: &'static str,
    pub hook: Hook,
}

#[derive(Clone, Copy)]
pub enum Hook {
    /// Category and name.
    Tracepoint(&'static str, &'static str),
    /// A function. That the program is for its entry or its return, its section says, as Aya has it.
    Kprobe(&'static str),
    Fentry(&'static str),
    Fexit(&'static str),
}

/// Detaches when it is dropped; of one type for all hooks.
pub type Link = Box<dyn Any>;

impl Hook {
    /// Whether the kernel resolves it when the program is loaded, by its BTF.
    pub fn needs_btf(self) -> bool {
        matches!(self, Hook::Fentry(_) | Hook::Fexit(_))
    }

    pub fn load(self, program: &mut Program, btf: Option<&Btf>) -> Result<(), ProgramError> {
        let btf = || btf.expect("there for those that need it");
        match self {
            Hook::Tracepoint(..) => <&mut TracePoint>::try_from(program)?.load(),
            Hook::Kprobe(_) => <&mut KProbe>::try_from(program)?.load(),
            Hook::Fentry(function) => <&mut FEntry>::try_from(program)?.load(function, btf()),
            Hook::Fexit(function) => <&mut FExit>::try_from(program)?.load(function, btf()),
        }
    }

    pub fn attach(self, program: &mut Program) -> Result<Link, ProgramError> {
        Ok(match self {
            Hook::Tracepoint(category, name) => {
                let program: &mut TracePoint = program.try_into()?;
                let id = program.attach(category, name)?;
                Box::new(program.take_link(id)?)
            }
            Hook::Kprobe(function) => {
                let program: &mut KProbe = program.try_into()?;
                let id = program.attach(function, 0)?;
                Box::new(program.take_link(id)?)
            }
            Hook::Fentry(_) => {
                let program: &mut FEntry = program.try_into()?;
                let id = program.attach()?;
                Box::new(program.take_link(id)?)
            }
            Hook::Fexit(_) => {
                let program: &mut FExit = program.try_into()?;
                let id = program.attach()?;
                Box::new(program.take_link(id)?)
            }
        })
    }
}
