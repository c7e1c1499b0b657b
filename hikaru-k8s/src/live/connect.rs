//! The way to an API server: which one is chosen (`connection`), credentials (`credentials`: `pem`, `authorization`), plugins for them
//! (`plugin`), and the stack that sends a request (`transport`), with what a failed handshake means (`tls`). Our credentials are
//! taken out of what comes back (`secrets`). What is asked, and how long it may take, is in `client`.

mod authorization;
pub(super) mod connection;
mod credentials;
pub(super) mod error;
mod pem;
mod plugin;
pub(super) mod secrets;
mod tls;
pub(super) mod transport;
