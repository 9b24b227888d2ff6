//! Sets up TLS. For http to a loopback address no certificates are loaded, because a minimal machine or container may have none.

use reqwest::ClientBuilder;

/// Sets up the reqwest builder with TLS that trusts the certificates of the platform, or none if `https` is false.
///
/// # Errors
///
/// A fragment that says what is missing, such as the CA certificates of this machine.
#[cfg(feature = "rustls")]
pub(crate) fn set_up(builder: ClientBuilder, https: bool) -> Result<ClientBuilder, String> {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use rustls_platform_verifier::BuilderVerifierExt;

    // Names ring explicitly; otherwise rustls would use the crypto provider that another crate of the process installed, if any.
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let config = config.with_safe_default_protocol_versions();
    let config = if https {
        config.and_then(BuilderVerifierExt::with_platform_verifier)
    } else {
        config.map(|config| config.with_root_certificates(RootCertStore::empty()))
    };
    let config = config.map_err(|error| {
        format!("could not be set up; are the CA certificates of this machine installed (package `ca-certificates`)? {error}")
    })?;
    Ok(builder.tls_backend_preconfigured(config.with_no_client_auth()))
}

#[cfg(all(feature = "native-tls", not(feature = "rustls")))]
#[expect(clippy::unnecessary_wraps, reason = "the signature of its siblings")]
pub(crate) fn set_up(builder: ClientBuilder, _: bool) -> Result<ClientBuilder, String> {
    Ok(builder.tls_backend_native())
}

#[cfg(not(any(feature = "native-tls", feature = "rustls")))]
pub(crate) fn set_up(builder: ClientBuilder, https: bool) -> Result<ClientBuilder, String> {
    if https {
        return Err(
            "is not in this build: enable the feature `rustls` or `native-tls`, or use http to loopback"
                .to_owned(),
        );
    }
    Ok(builder)
}
