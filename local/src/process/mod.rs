//! Child processes, none of which outlives this program.

mod as_root;
mod command;
pub mod interrupt;
mod service;
mod service_user;

pub(crate) use as_root::AsRoot;
pub use command::{
    create_log, dying_with_parent, find_program, keep_private, output, run_logged, shared_command,
    succeeds, wait_interruptibly,
};
pub use service::{Service, ServiceSpec};
pub use service_user::ServiceUser;
