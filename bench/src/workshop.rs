//! What all measurements share: the machine, a folder for files, certificates, the stand-in for Autoshares.

use std::{
    fs::{self, File, Permissions},
    net::{SocketAddr, TcpListener},
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    thread,
};

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use tempfile::TempDir;

use crate::{
    failure::Failure,
    load::read,
    server::{LOAD_CORE, SERVER_CORE, Server, silent},
};

/// Settings of every gateway that is measured: replies come when they are there, and one address may open many connections.
const COMMON: [&str; 3] = ["flow.floor=0s", "connections.max=10000", "connections.max_per_network=10000"];

/// Holds what the measurements need, until they are over.
pub(crate) struct Workshop {
    /// Processor and kernel, in one line.
    pub(crate) machine: String,
    /// The gateway's binary.
    pub(crate) binary: PathBuf,
    folder: TempDir,
    upstream: SocketAddr,
    tls_upstream: SocketAddr,
    /// Kept running.
    _upstream: Server,
}

impl Workshop {
    /// Makes certificates and starts the stand-in for Autoshares.
    pub(crate) fn open(binary: PathBuf) -> Result<Self, Failure> {
        if thread::available_parallelism().map_or(1, usize::from) < 2 {
            return Err(Failure::new("the benchmark needs two cores: one for the server, one for the load"));
        }
        let folder = tempfile::tempdir().map_err(Failure::new)?;
        certificates(folder.path())?;
        let (upstream, tls_upstream) = (free_address()?, free_address()?);
        let words = [("tls_listen", tls_upstream.to_string())];
        let command = nginx(folder.path(), "upstream", upstream, &words)?;
        let server = Server::start(LOAD_CORE, command, upstream)?;
        Ok(Self { machine: machine(), binary, folder, upstream, tls_upstream, _upstream: server })
    }

    /// A path in the folder, which is removed when all is over.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Where the stand-in for Autoshares listens.
    pub(crate) fn upstream(&self) -> SocketAddr {
        self.upstream
    }

    /// Where it listens with TLS, as `localhost`.
    pub(crate) fn tls_upstream(&self) -> SocketAddr {
        self.tls_upstream
    }

    /// Starts an nginx with one of the files in `bench/peers`.
    pub(crate) fn nginx(&self, peer: &str, words: &[(&str, String)]) -> Result<Server, Failure> {
        let address = free_address()?;
        let mut words = words.to_vec();
        words.push(("upstream", self.upstream.to_string()));
        words.push(("tls_upstream", format!("localhost:{}", self.tls_upstream.port())));
        Server::start(SERVER_CORE, nginx(self.folder.path(), peer, address, &words)?, address)
    }

    /// Starts a HAProxy that only adds the header.
    pub(crate) fn haproxy(&self) -> Result<Server, Failure> {
        let address = free_address()?;
        let words = [("listen", address.to_string()), ("upstream", self.upstream.to_string())];
        let file = self.path("haproxy.cfg");
        fs::write(&file, filled(&peer_file("haproxy.cfg")?, &words)).map_err(Failure::new)?;
        let mut command = silent(found("haproxy"));
        command.arg("-db").arg("-f").arg(file).stdout(self.log("haproxy")?);
        Server::start(SERVER_CORE, command, address)
    }

    /// Starts the proxy of hyper alone.
    pub(crate) fn bare_proxy(&self) -> Result<Server, Failure> {
        let address = free_address()?;
        let mut command = silent(release("bare_proxy"));
        command.args([address, self.upstream].map(|address| address.to_string()));
        Server::start(SERVER_CORE, command, address)
    }

    /// Starts a Redis that keeps nothing on the disk.
    pub(crate) fn redis(&self) -> Result<Server, Failure> {
        let address = free_address()?;
        let mut command = silent("redis-server");
        command.args(["--bind", "127.0.0.1", "--port", &address.port().to_string(), "--save", ""]);
        // It writes a file where it stands.
        command.current_dir(self.folder.path());
        Server::start(LOAD_CORE, command, address)
    }

    /// Starts the gateway with settings such as `flow.floor=0s`.
    pub(crate) fn gateway(&self, name: &str, settings: &[impl AsRef<str>]) -> Result<Server, Failure> {
        let address = free_address()?;
        let mut command = self.gateway_on(silent(&self.binary), address, settings);
        command.stdout(self.log(name)?);
        Server::start(SERVER_CORE, command, address)
    }

    /// Completes a command line that ends with the gateway's binary.
    pub(crate) fn gateway_on(
        &self,
        mut command: Command,
        address: SocketAddr,
        settings: &[impl AsRef<str>],
    ) -> Command {
        // Autoshares has a name.
        let upstream = format!("upstream.base_url=http://localhost:{}/api", self.upstream.port());
        let own = [&format!("listen={address}"), "admin_listen=127.0.0.1:0", &upstream, "log.format=json"];
        // A later setting takes the place of an earlier one.
        let settings = own.into_iter().chain(COMMON).chain(settings.iter().map(AsRef::as_ref));
        command.arg("serve").args(settings.flat_map(|setting| ["--set", setting]));
        command.env("AUTOSHARES_APP_KEY", "not-a-real-key");
        // A shell may have set them, which makes the gateway read other certificates than a service of the system does.
        command.env_remove("SSL_CERT_FILE").env_remove("SSL_CERT_DIR");
        command
    }

    /// A setting that names a file of flow keys, which replicas share.
    pub(crate) fn flow_keys(&self) -> Result<String, Failure> {
        let path = self.path("flow.keys");
        let keys = read(Command::new(&self.binary).arg("keygen"))?;
        fs::write(&path, keys).map_err(Failure::new)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600)).map_err(Failure::new)?;
        Ok(format!("flow.keys_file={}", path.display()))
    }

    fn log(&self, name: &str) -> Result<Stdio, Failure> {
        File::create(self.path(&format!("{name}.log"))).map(Stdio::from).map_err(Failure::new)
    }
}

/// The path of a program in the plain release build.
pub(crate) fn release(name: &str) -> PathBuf {
    root().join("target/release").join(name)
}

/// The root of the workspace.
pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// A loopback address on which nobody listens.
pub(crate) fn free_address() -> Result<SocketAddr, Failure> {
    TcpListener::bind("127.0.0.1:0").and_then(|listener| listener.local_addr()).map_err(Failure::new)
}

/// A server of Debian's packages, which ordinary users do not have on their `PATH`.
pub(crate) fn found(program: &str) -> PathBuf {
    let path = Path::new("/usr/sbin").join(program);
    if path.exists() { path } else { program.into() }
}

fn nginx(
    folder: &Path,
    peer: &str,
    listen: SocketAddr,
    words: &[(&str, String)],
) -> Result<Command, Failure> {
    let own = folder.join(peer);
    fs::create_dir_all(&own).map_err(Failure::new)?;
    let server = own.join("server.conf");
    let modules = match peer {
        // In this order: the second one needs the first.
        "lua" | "lua-whole" => ["ndk_http_module", "ngx_http_lua_module"]
            .map(|module| format!("load_module /usr/lib/nginx/modules/{module}.so;\n"))
            .concat(),
        _ => String::new(),
    };
    let mut words = words.to_vec();
    words.extend([
        ("listen", listen.to_string()),
        ("folder", folder.display().to_string()),
        ("log", own.join("access.log").display().to_string()),
        ("server", server.display().to_string()),
        ("modules", modules),
    ]);
    if peer == "lua-whole" {
        let scripts = root().join("gateway/counting/src/lua");
        let of_gateway = |name: &str| scripts.join(name).display().to_string();
        words.extend([("decide", of_gateway("decide.lua")), ("settle", of_gateway("settle.lua"))]);
        let counting = filled(&peer_file("counting.lua")?, &words);
        fs::write(folder.join("counting.lua"), counting).map_err(Failure::new)?;
    }
    fs::write(&server, filled(&peer_file(&format!("{peer}.conf"))?, &words)).map_err(Failure::new)?;
    let main = own.join("nginx.conf");
    fs::write(&main, filled(&peer_file("nginx.conf")?, &words)).map_err(Failure::new)?;
    let mut command = silent(found("nginx"));
    command.arg("-p").arg(&own).arg("-c").arg(main).args(["-e", "stderr"]);
    Ok(command)
}

fn peer_file(name: &str) -> Result<String, Failure> {
    fs::read_to_string(root().join("bench/peers").join(name)).map_err(Failure::new)
}

fn filled(text: &str, words: &[(&str, String)]) -> String {
    words.iter().fold(text.to_owned(), |text, (word, value)| text.replace(&format!("{{{word}}}"), value))
}

/// An authority, and a certificate of it for `localhost`.
fn certificates(folder: &Path) -> Result<(), Failure> {
    let mut params = CertificateParams::default();
    // Or it would have the name of the certificate, which would then look as if it had signed itself.
    params.distinguished_name.push(DnType::CommonName, "authority of the benchmark");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().map_err(Failure::new)?;
    let authority = params.self_signed(&key).map_err(Failure::new)?;
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().map_err(Failure::new)?;
    let params = CertificateParams::new(["localhost".to_owned()]).map_err(Failure::new)?;
    let certificate = params.signed_by(&key, &issuer).map_err(Failure::new)?;
    for (name, text) in [
        ("authority.pem", authority.pem()),
        ("certificate.pem", certificate.pem()),
        ("key.pem", key.serialize_pem()),
    ] {
        fs::write(folder.join(name), text).map_err(Failure::new)?;
    }
    Ok(())
}

/// The processor and the kernel.
fn machine() -> String {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = processors.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let model = model.map_or("an unknown processor", |(_, model)| model);
    format!("{cores} cores of {model}, Linux {}", kernel.trim())
}
