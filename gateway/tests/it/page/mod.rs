//! The hosted page: by its HTTP here, and in real browsers by the scripts in `gateway/tests/page`.

mod browsers;
mod forms;
