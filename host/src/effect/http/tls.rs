//! Whom to trust, and who we are: a TLS configuration for all connections of the node, and others for servers of which more is said.

use super::dial::Purpose;
use crate::{connection::Files, effect::Error};
use rustls::{
    ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier,
    crypto::ring,
    pki_types::{CertificateDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use std::sync::Arc;
use tokio::{sync::OnceCell, task::spawn_blocking};

/// Reads the system's roots at the first `https` connection that needs them: they take milliseconds and half a megabyte that a node without any should not spend.
pub(super) struct Tls {
    /// Carries its own cryptography, so that no default for the whole process is needed.
    builder: ConfigBuilder<ClientConfig, WantsVerifier>,
    additional: RootCertStore,
    usual: OnceCell<Arc<RootCertStore>>,
}

/// What is special about connections to some servers; nothing by default.
#[derive(Default)]
pub(super) struct Trust {
    roots: Option<Arc<RootCertStore>>,
    identity: Option<Arc<CertifiedKey>>,
    config: OnceCell<Arc<ClientConfig>>,
}

/// There is nothing to check a server's certificate against.
#[derive(Debug, thiserror::Error)]
#[error("this machine has no root certificates, install `ca-certificates` or set SSL_CERT_FILE")]
pub(super) struct NoRoots;

impl Trust {
    pub(super) fn new(files: &Files) -> Self {
        Self { roots: files.roots.clone(), identity: files.identity.clone(), config: OnceCell::new() }
    }
}

impl Tls {
    pub(super) fn new(additional: &[u8]) -> Result<Self, Error> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(Error::Tls)?;
        Ok(Self { builder, additional: roots(additional)?, usual: OnceCell::new() })
    }

    /// The configuration for a new connection. A machine without roots is asked again at the next one, for they may be installed by then.
    pub(super) async fn config(&self, trust: &Trust, purpose: Purpose) -> Result<Arc<ClientConfig>, NoRoots> {
        let any = trust.config.get_or_try_init(|| self.made_for(trust)).await?;
        if purpose == Purpose::Exchanges {
            return Ok(any.clone());
        }
        let mut config = ClientConfig::clone(any);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    async fn made_for(&self, trust: &Trust) -> Result<Arc<ClientConfig>, NoRoots> {
        let roots = match &trust.roots {
            Some(roots) => Arc::clone(roots),
            None => Arc::clone(self.usual.get_or_try_init(|| self.load()).await?),
        };
        let builder = self.builder.clone().with_root_certificates(roots);
        let mut config = match &trust.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::new(SingleCertAndKey::from(Arc::clone(identity)))),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Arc::new(config))
    }

    async fn load(&self) -> Result<Arc<RootCertStore>, NoRoots> {
        let system = spawn_blocking(|| rustls_native_certs::load_native_certs().certs).await;
        let mut roots = self.additional.clone();
        // Systems carry a few certificates that are of no use to TLS; whoever needs one of those is told so by the connection.
        roots.add_parsable_certificates(system.unwrap_or_default());
        if roots.is_empty() { Err(NoRoots) } else { Ok(Arc::new(roots)) }
    }
}

fn roots(pem: &[u8]) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    for (index, certificate) in CertificateDer::pem_slice_iter(pem).enumerate() {
        let number = index + 1;
        roots.add(certificate.map_err(Error::Pem)?).map_err(|cause| Error::Root { number, cause })?;
    }
    Ok(roots)
}
