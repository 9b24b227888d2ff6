//! `tls.*`: the certificate with which the gateway itself speaks https.

use std::{fs, sync::Arc};

use rustls::{
    ServerConfig,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
};

use super::{
    Setting,
    origins::{PUBLIC_ORIGIN, public_origin},
    reader::Reader,
    setting::settings,
};

/// The certificate with which the gateway speaks https, if it does.
#[derive(Clone, Debug, Default)]
pub struct Tls {
    /// TLS 1.2 and 1.3 with HTTP/1.1; `None` speaks plain http.
    pub server: Option<Arc<ServerConfig>>,
    /// When the certificate ends, in seconds since 1970.
    pub ends: Option<i64>,
}

settings! {
    CERTIFICATE_FILE: "tls.certificate_file", "GATEWAY_TLS_CERTIFICATE_FILE",
        "a PEM file with the certificate, and those that lead from it to its authority", "none",
        "with `tls.key_file`, the gateway itself speaks https (TLS 1.2 and 1.3); without, something in front of it has to. A new certificate is taken without a restart", file;
    KEY_FILE: "tls.key_file", "GATEWAY_TLS_KEY_FILE",
        "a PEM file with the private key of the certificate", "none",
        "the private key of `tls.certificate_file`; keep it to the user who runs the gateway", file;
}

pub(super) fn read(reader: &mut Reader<'_>) -> Option<Tls> {
    let (certificate_file, key_file) = match (reader.get(CERTIFICATE_FILE), reader.get(KEY_FILE)) {
        (None, None) => return Some(Tls::default()),
        (Some(_), None) => {
            reader.fault(KEY_FILE, format_args!("is not set, and `{}` is", CERTIFICATE_FILE.key));
            return None;
        }
        (None, Some(_)) => {
            reader.fault(CERTIFICATE_FILE, format_args!("is not set, and `{}` is", KEY_FILE.key));
            return None;
        }
        (Some(certificate_file), Some(key_file)) => (certificate_file, key_file),
    };
    reader.warn_of_open_file(KEY_FILE, &key_file);
    if reader.peek(PUBLIC_ORIGIN, public_origin).is_some_and(|origin| !origin.https) {
        let key = PUBLIC_ORIGIN.key;
        reader.warn(
            CERTIFICATE_FILE,
            format_args!(
                "the gateway speaks https, and `{key}` is not https: pages of that origin may not call"
            ),
        );
    }
    let pem = |reader: &mut Reader<'_>, setting: Setting, path: &str| match fs::read(path) {
        Ok(pem) => Some(pem),
        Err(error) => {
            reader.fault(setting, format_args!("cannot be read: {error}"));
            None
        }
    };
    let certificates = pem(reader, CERTIFICATE_FILE, &certificate_file).and_then(|pem| {
        // One that cannot be read makes the chain useless.
        let certificates: Vec<_> =
            CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().unwrap_or_default();
        if certificates.is_empty() {
            reader.fault(CERTIFICATE_FILE, "holds no certificate in PEM, or one that is damaged");
        }
        Some(certificates).filter(|certificates| !certificates.is_empty())
    });
    let key = pem(reader, KEY_FILE, &key_file).and_then(|pem| {
        let key = PrivateKeyDer::from_pem_slice(&pem).ok();
        if key.is_none() {
            reader.fault(KEY_FILE, "holds no private key in PEM");
        }
        key
    });
    let (certificates, key) = (certificates?, key?);
    let ends = certificates.first().and_then(|certificate| {
        let (_, certificate) = x509_parser::parse_x509_certificate(certificate).ok()?;
        Some(certificate.validity().not_after.timestamp())
    });
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .ok()?
        .with_no_client_auth();
    match builder.with_single_cert(certificates, key) {
        Ok(mut server) => {
            server.alpn_protocols = vec![b"http/1.1".to_vec()];
            Some(Tls { server: Some(Arc::new(server)), ends })
        }
        // It says that the two do not belong together, or what is wrong with one of them, and quotes neither.
        Err(error) => {
            reader.fault(CERTIFICATE_FILE, format_args!("does not go with `{}`: {error}", KEY_FILE.key));
            None
        }
    }
}
