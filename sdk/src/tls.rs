//! TLS for https; none is set up for http to loopback, for the certificates of the machine may not be there.

use reqwest::ClientBuilder;

/// Adds what `https` needs to a builder.
///
/// # Errors
///
/// What keeps TLS from being set up, in words.
#[cfg(feature = "rustls")]
pub(crate) fn set_up(builder: ClientBuilder, https: bool) -> Result<ClientBuilder, String> {
    use std::sync::Arc;

    use rustls::{ClientConfig, RootCertStore, crypto::ring};
    use rustls_platform_verifier::BuilderVerifierExt;

    // Named here, or a provider that another crate of the process installed would be taken.
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
