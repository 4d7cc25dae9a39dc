//! The files that TLS needs, read and looked at: the authorities to trust, our certificate and its key.

use crate::config::Tls;
use rustls::{
    RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem, pem::PemObject},
    sign::CertifiedKey,
};
use std::{
    io,
    path::{Path, PathBuf},
    sync::Arc,
};

/// A file that TLS cannot use.
#[derive(Debug, thiserror::Error)]
pub enum FileFault {
    /// It cannot be read.
    #[error("cannot read `{path}`")]
    Unreadable {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        cause: io::Error,
    },
    /// It is not what it should be.
    #[error("`{path}` holds no {what} as PEM")]
    NotPem {
        /// Which.
        path: PathBuf,
        /// A certificate, or a key.
        what: &'static str,
        /// What is wrong with it.
        #[source]
        cause: pem::Error,
    },
    /// It is PEM, and nothing that a certificate can be checked against.
    #[error("`{path}` holds a certificate that cannot be used")]
    NoAuthority {
        /// Which.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        cause: rustls::Error,
    },
    /// The certificate is of another key.
    #[error("`{}` is not the key of the certificate in `{}`", .key.display(), .cert.display())]
    NoPair {
        /// The certificate.
        cert: Box<Path>,
        /// The key.
        key: Box<Path>,
        /// What is wrong with them.
        #[source]
        cause: rustls::Error,
    },
    /// One of the two is missing.
    #[error("a client certificate needs its key, and a key its certificate: set `cert` and `key`, or none of them")]
    Half,
}

/// What was in the files of one [`Tls`]. Two are equal where every byte is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files {
    /// The authorities to trust instead of the system's.
    pub(crate) roots: Option<Arc<RootCertStore>>,
    /// Who we are.
    pub(crate) identity: Option<Arc<CertifiedKey>>,
    pub(super) pem: Pem,
}

/// The files as they are.
#[derive(Clone, Default, PartialEq, Eq)]
pub(super) struct Pem {
    pub(super) ca: Option<Vec<u8>>,
    pub(super) identity: Option<Identity>,
}

/// A certificate and its key.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Identity {
    pub(super) cert: Vec<u8>,
    pub(super) key: Vec<u8>,
}

impl Files {
    /// Reads what `tls` names.
    pub(crate) fn read(tls: &Tls) -> Result<Self, FileFault> {
        let (ca, roots) = tls.ca.as_deref().map(authorities).transpose()?.unzip();
        let (pair, identity) = match (&tls.cert, &tls.key) {
            (Some(cert), Some(key)) => Some(identity(cert, key)?).unzip(),
            (None, None) => (None, None),
            _ => return Err(FileFault::Half),
        };
        let (roots, identity) = (roots.map(Arc::new), identity.map(Arc::new));
        Ok(Self { roots, identity, pem: Pem { ca, identity: pair } })
    }
}

impl PartialEq for Files {
    fn eq(&self, other: &Self) -> bool {
        self.pem == other.pem
    }
}

/// Without the key.
impl std::fmt::Debug for Pem {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pem").finish_non_exhaustive()
    }
}

fn authorities(path: &Path) -> Result<(Vec<u8>, RootCertStore), FileFault> {
    let bytes = read(path)?;
    let mut roots = RootCertStore::empty();
    for certificate in certificates(path, &bytes)? {
        roots.add(certificate).map_err(|cause| FileFault::NoAuthority { path: path.to_owned(), cause })?;
    }
    Ok((bytes, roots))
}

fn identity(cert: &Path, key: &Path) -> Result<(Identity, CertifiedKey), FileFault> {
    let (cert_pem, key_pem) = (read(cert)?, read(key)?);
    let chain = certificates(cert, &cert_pem)?;
    let private = PrivateKeyDer::from_pem_slice(&key_pem);
    let private = private.map_err(|cause| FileFault::NotPem { path: key.to_owned(), what: "private key", cause })?;
    let no_pair = |cause| FileFault::NoPair { cert: cert.into(), key: key.into(), cause };
    let pair = CertifiedKey::from_der(chain, private, &ring::default_provider()).map_err(no_pair)?;
    Ok((Identity { cert: cert_pem, key: key_pem }, pair))
}

fn certificates(path: &Path, bytes: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileFault> {
    let found = CertificateDer::pem_slice_iter(bytes).collect::<Result<Vec<_>, _>>();
    match found {
        Ok(found) if !found.is_empty() => Ok(found),
        found => {
            let cause = found.err().unwrap_or(pem::Error::NoItemsFound);
            Err(FileFault::NotPem { path: path.to_owned(), what: "certificate", cause })
        }
    }
}

fn read(path: &Path) -> Result<Vec<u8>, FileFault> {
    std::fs::read(path).map_err(|cause| FileFault::Unreadable { path: path.to_owned(), cause })
}
