//! Demo.
pub mod bindings;
pub mod machine;
