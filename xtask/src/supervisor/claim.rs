//! An address for a cluster that no other cluster on this machine has.
//!
//! All of 127.0.0.0/8 exists on Linux, so each cluster gets its own address and the usual ports. Free ports that are picked
//! beforehand can be taken by another cluster, whose etcd the first cluster would then use. If the ports are in use on all
//! addresses, the cluster gets free ports of 127.0.0.1: [`crate::Cluster`] checks that its own etcd answers, and starts
//! again if another one does.

use std::fs::{File, TryLockError};
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::path::Path;

use super::Endpoints;

const APISERVER: u16 = 6443;
const ETCD: u16 = 2379;
const ETCD_PEER: u16 = 2380;
const KUBELET: u16 = 10250;

/// Endpoints that no other cluster takes as long as this value lives.
#[derive(Debug)]
pub(super) struct Claim {
    pub(super) endpoints: Endpoints,
    _lock: Option<File>,
}

impl Claim {
    /// Takes the first address that is free. Locks are files in `folder`, one an address, and stay there.
    pub(super) fn take(folder: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(folder)?;
        for last in 1..=250 {
            let address = Ipv4Addr::new(127, 77, 0, last);
            let lock = File::options()
                .create(true)
                .truncate(false)
                .write(true)
                .open(folder.join(address.to_string()))?;
            match lock.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => continue,
                Err(TryLockError::Error(error)) => return Err(error),
            }
            // A cluster of another user has its locks in another folder, but the same ports.
            match listen(address, [APISERVER, ETCD, ETCD_PEER, KUBELET]) {
                Ok(_) => {
                    let endpoints = Endpoints {
                        address,
                        apiserver: APISERVER,
                        etcd: ETCD,
                        etcd_peer: ETCD_PEER,
                        kubelet: KUBELET,
                    };
                    return Ok(Self {
                        endpoints,
                        _lock: Some(lock),
                    });
                }
                Err(error) if error.kind() == io::ErrorKind::AddrInUse => {}
                Err(_) => break,
            }
        }
        let listeners = listen(Ipv4Addr::LOCALHOST, [0; 4])?;
        let mut ports = [0; 4];
        for (port, listener) in ports.iter_mut().zip(&listeners) {
            *port = listener.local_addr()?.port();
        }
        let [apiserver, etcd, etcd_peer, kubelet] = ports;
        Ok(Self {
            endpoints: Endpoints {
                address: Ipv4Addr::LOCALHOST,
                apiserver,
                etcd,
                etcd_peer,
                kubelet,
            },
            _lock: None,
        })
    }
}

/// Listens on all ports at once, so that zeros become different ports.
fn listen(address: Ipv4Addr, ports: [u16; 4]) -> io::Result<Vec<TcpListener>> {
    ports
        .into_iter()
        .map(|port| TcpListener::bind((address, port)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_claims_have_different_endpoints() {
        let folder = tempfile::tempdir().expect("folder");
        let first = Claim::take(folder.path()).expect("first");
        let second = Claim::take(folder.path()).expect("second");
        assert_ne!(first.endpoints, second.endpoints);
    }

    #[test]
    fn a_lock_is_held_as_long_as_the_claim() {
        let folder = tempfile::tempdir().expect("folder");
        let claim = Claim::take(folder.path()).expect("claim");
        if claim.endpoints.address == Ipv4Addr::LOCALHOST {
            return; // Free ports of 127.0.0.1 have no locks.
        }
        let lock =
            File::open(folder.path().join(claim.endpoints.address.to_string())).expect("lock");
        assert!(matches!(lock.try_lock(), Err(TryLockError::WouldBlock)));
        drop(claim);
        assert!(lock.try_lock().is_ok());
    }
}
