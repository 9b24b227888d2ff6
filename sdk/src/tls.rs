//! Sets up TLS. For http to a loopback address no certificates are loaded, because a minimal machine or container may have none.

use std::{
    fs,
    path::{Path, PathBuf},
};

use reqwest::ClientBuilder;

use crate::builder::{BuildFault, BuildPart};

/// The files with certificates that a caller names.
#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) ca: Option<PathBuf>,
    pub(crate) client_certificate: Option<PathBuf>,
}

/// What stands in these files.
#[derive(Default)]
pub(crate) struct Certificates {
    ca: Option<Vec<u8>>,
    client_certificate: Option<Vec<u8>>,
}

impl Files {
    /// Reads the files that are named.
    ///
    /// # Errors
    ///
    /// A fault for each file that cannot be read.
    pub(crate) fn read(&self) -> Result<Certificates, Vec<BuildFault>> {
        let read = |path: Option<&Path>, part| {
            let read = |path| {
                fs::read(path).map_err(|error| BuildFault::new(part, format!("cannot be read: {error}")))
            };
            path.map(read).transpose()
        };
        let ca = read(self.ca.as_deref(), BuildPart::CaFile);
        let client_certificate = read(self.client_certificate.as_deref(), BuildPart::ClientCertificateFile);
        match (ca, client_certificate) {
            (Ok(ca), Ok(client_certificate)) => Ok(Certificates { ca, client_certificate }),
            (ca, client_certificate) => Err(ca.err().into_iter().chain(client_certificate.err()).collect()),
        }
    }
}

/// Sets up the reqwest builder with TLS that trusts the given certificates and those of the platform, or none if `needed` is false.
///
/// # Errors
///
/// What is missing, such as the CA certificates of this machine.
#[cfg(feature = "rustls")]
pub(crate) fn set_up(
    builder: ClientBuilder,
    needed: bool,
    certificates: &Certificates,
) -> Result<ClientBuilder, BuildFault> {
    use std::sync::Arc;

    use rustls::{
        ClientConfig, RootCertStore,
        crypto::ring,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    };
    use rustls_platform_verifier::Verifier;

    let tls = |error| {
        let hint = "are the CA certificates of this machine installed (package `ca-certificates`)?";
        BuildFault::new(BuildPart::Tls, format!("could not be set up; {hint} {error}"))
    };
    let unusable = |error| {
        BuildFault::new(BuildPart::CaFile, format!("holds a certificate that cannot be used: {error}"))
    };
    let chain = |pem: &[u8], part| {
        let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(pem).collect();
        match chain {
            Ok(chain) if chain.is_empty() => Err(BuildFault::new(part, "holds no certificate in PEM")),
            Ok(chain) => Ok(chain),
            Err(_) => Err(BuildFault::new(part, "holds a section that is no PEM")),
        }
    };

    // Names ring explicitly; otherwise rustls would use the crypto provider that another crate of the process installed, if any.
    let provider = Arc::new(ring::default_provider());
    let config = ClientConfig::builder_with_provider(Arc::clone(&provider));
    let config = config.with_safe_default_protocol_versions().map_err(tls)?;
    let roots =
        certificates.ca.as_deref().map(|pem| chain(pem, BuildPart::CaFile)).transpose()?.unwrap_or_default();
    let config = if needed && cfg!(target_os = "linux") {
        let mut trusted = RootCertStore::empty();
        for root in roots {
            trusted.add(root).map_err(unusable)?;
        }
        let found = of_linux();
        trusted.add_parsable_certificates(found.certs);
        if trusted.is_empty() {
            let reason = found.errors.first().map_or_else(|| "there is none".to_owned(), ToString::to_string);
            return Err(tls(rustls::Error::General(reason)));
        }
        config.with_root_certificates(trusted)
    } else if needed {
        let verifier = match Verifier::new_with_extra_roots(roots, Arc::clone(&provider)) {
            Ok(verifier) => verifier,
            // One of the two is at fault: a file that holds something else, or a machine without certificates.
            Err(error) => {
                return Err(match Verifier::new(provider) {
                    Ok(_) => unusable(error),
                    Err(_) => tls(error),
                });
            }
        };
        config.dangerous().with_custom_certificate_verifier(Arc::new(verifier))
    } else {
        config.with_root_certificates(RootCertStore::empty())
    };
    let Some(pem) = &certificates.client_certificate else {
        return Ok(builder.tls_backend_preconfigured(config.with_no_client_auth()));
    };
    let part = BuildPart::ClientCertificateFile;
    let chain = chain(pem, part)?;
    let key = PrivateKeyDer::from_pem_slice(pem)
        .map_err(|_| BuildFault::new(part, "holds no private key in PEM beside the certificate"))?;
    let config = config
        .with_client_auth_cert(chain, key)
        .map_err(|error| BuildFault::new(part, format!("cannot be used: {error}")))?;
    Ok(builder.tls_backend_preconfigured(config))
}

/// The certificates that a Linux trusts: those of the file that it makes of them, and what else lies in the folders beside it; or those that OpenSSL's
/// variables name, where one is set.
///
/// A folder holds most certificates of the file again, each under two names. Those links are passed over, for to follow them takes a quarter
/// of the time in which a gateway starts.
#[cfg(feature = "rustls")]
fn of_linux() -> rustls_native_certs::CertificateResult {
    use rustls_native_certs::{load_certs_from_paths, load_native_certs};

    let is_named = ["SSL_CERT_FILE", "SSL_CERT_DIR"].into_iter().any(|name| std::env::var_os(name).is_some());
    let probed = openssl_probe::probe();
    let Some(file) = probed.cert_file.filter(|_| !is_named) else { return load_native_certs() };
    let mut found = load_certs_from_paths(Some(&file), None);
    if found.certs.is_empty() {
        return load_native_certs();
    }
    for other in probed.cert_dir.iter().flat_map(|folder| beside(folder)).filter(|other| *other != file) {
        let more = load_certs_from_paths(Some(&other), None);
        found.certs.extend(more.certs);
        found.errors.extend(more.errors);
    }
    found.certs.sort_unstable_by(|one, other| one.as_ref().cmp(other.as_ref()));
    found.certs.dedup();
    found
}

/// The files of a folder of certificates, but for links within it and links to what the system's own package brought, from which the system makes
/// its file.
#[cfg(feature = "rustls")]
fn beside(folder: &Path) -> Vec<PathBuf> {
    const OF_THE_PACKAGE: &str = "/usr/share/ca-certificates";
    let is_known = |path: &Path| {
        fs::read_link(path).is_ok_and(|to| to.components().count() == 1 || to.starts_with(OF_THE_PACKAGE))
    };
    let paths = fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    paths.filter(|path| !is_known(path) && path.is_file()).collect()
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
pub(crate) fn set_up(
    mut builder: ClientBuilder,
    _: bool,
    certificates: &Certificates,
) -> Result<ClientBuilder, BuildFault> {
    use reqwest::{Certificate, Identity};

    if let Some(pem) = &certificates.ca {
        let roots = Certificate::from_pem_bundle(pem).ok().filter(|roots| !roots.is_empty());
        let roots = roots.ok_or_else(|| BuildFault::new(BuildPart::CaFile, "holds no certificate in PEM"))?;
        builder = builder.tls_certs_merge(roots);
    }
    if let Some(pem) = &certificates.client_certificate {
        let begin = b"-----BEGIN PRIVATE KEY-----";
        let key = pem.windows(begin.len()).position(|bytes| bytes == begin).map(|start| &pem[start..]);
        let identity = key.and_then(|key| Identity::from_pkcs8_pem(pem, key).ok()).ok_or_else(|| {
            let problem = "holds no certificate in PEM with its private key in PKCS#8 (`BEGIN PRIVATE KEY`)";
            BuildFault::new(BuildPart::ClientCertificateFile, problem)
        })?;
        builder = builder.identity(identity);
    }
    Ok(builder.tls_backend_native())
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
pub(crate) fn set_up(
    builder: ClientBuilder,
    needed: bool,
    certificates: &Certificates,
) -> Result<ClientBuilder, BuildFault> {
    if needed || certificates.ca.is_some() || certificates.client_certificate.is_some() {
        let problem =
            "is not in this build: enable the feature `rustls` or `native-tls`, or use http to loopback";
        return Err(BuildFault::new(BuildPart::Tls, problem));
    }
    Ok(builder)
}

#[cfg(all(test, unix, feature = "rustls"))]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn what_lies_in_the_folder_is_read_and_links_to_what_is_known_are_not() {
        let folder = std::env::temp_dir().join(format!("certificates-{}", std::process::id()));
        fs::create_dir_all(folder.join("folder")).unwrap();
        let at = |name: &str| folder.join(name);
        fs::write(at("mounted.pem"), "").unwrap();
        symlink("mounted.pem", at("5f618aec.0")).unwrap();
        symlink("/usr/share/ca-certificates/mozilla/Some_Root.crt", at("Some_Root.pem")).unwrap();
        symlink("../etc/nowhere", at("dangling.pem")).unwrap();
        symlink(std::env::current_exe().unwrap(), at("linked.pem")).unwrap();
        let mut found = beside(&folder);
        found.sort();
        fs::remove_dir_all(&folder).unwrap();
        assert_eq!(found, [at("linked.pem"), at("mounted.pem")]);
        assert!(beside(&at("missing")).is_empty());
    }
}
