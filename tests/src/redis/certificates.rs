//! A certificate authority of a test's own, with a certificate for its server and one for its clients.

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose};
use std::{
    fs,
    path::{Path, PathBuf},
};

/// PEM files in one directory.
#[derive(Clone, Debug)]
pub struct Certificates {
    dir: PathBuf,
}

impl Certificates {
    /// Makes an authority that nobody else trusts, a server's certificate for these names, and a client's.
    pub fn make(dir: &Path, names: &[&str]) -> Self {
        let certificates = Self { dir: dir.to_owned() };
        fs::create_dir_all(dir).unwrap();
        let mut authority = CertificateParams::default();
        // Named like the certificates it signs, it would look like one that signed itself.
        authority.distinguished_name.push(DnType::CommonName, "authority of a test");
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
        fs::write(certificates.authority(), authority.pem()).unwrap();
        certificates.sign("server", names, &authority);
        certificates.sign("client", &["client"], &authority);
        certificates
    }

    fn sign(&self, file: &str, names: &[&str], authority: &CertifiedIssuer<'_, KeyPair>) {
        let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(names).unwrap().signed_by(&key, authority).unwrap();
        fs::write(self.file(file, "crt"), certificate.pem()).unwrap();
        fs::write(self.file(file, "key"), key.serialize_pem()).unwrap();
    }

    /// The root to trust.
    pub fn authority(&self) -> PathBuf {
        self.file("authority", "crt")
    }

    /// The server's certificate.
    pub fn server(&self) -> PathBuf {
        self.file("server", "crt")
    }

    /// The server's key.
    pub fn server_key(&self) -> PathBuf {
        self.file("server", "key")
    }

    /// A certificate that a client may show.
    pub fn client(&self) -> PathBuf {
        self.file("client", "crt")
    }

    /// The client's key.
    pub fn client_key(&self) -> PathBuf {
        self.file("client", "key")
    }

    fn file(&self, name: &str, extension: &str) -> PathBuf {
        self.dir.join(name).with_extension(extension)
    }
}
