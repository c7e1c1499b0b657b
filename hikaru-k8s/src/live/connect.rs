//! The way to an API server: which one is chosen (`connection`), certificates and keys (`pem`, `tls`), tokens (`token`),
//! plugins for credentials (`plugin`), and the stack that sends a request (`transport`). Our credentials are taken out of what
//! comes back (`secrets`). What is asked, and how long it may take, is in `client`.

pub(super) mod connection;
pub(super) mod error;
mod pem;
mod plugin;
pub(super) mod secrets;
mod tls;
pub(super) mod token;
pub(super) mod transport;
