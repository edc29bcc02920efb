//! Demo.
mod bindings;
pub mod machine;
pub mod registrar;
