//! Debian's V2Ray as a node, a second one as its user's program, and traffic through both.

use std::fs;
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::collector::free_address;

/// The program, from Debian's package, which needs no root. The error says why there is none.
pub fn program() -> Result<PathBuf, String> {
    let tools = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.local/tools");
    let program = tools.join("v2ray/usr/bin/v2ray");
    if !program.is_file() {
        let scratch = tempfile::tempdir().map_err(|error| error.to_string())?;
        fetch(scratch.path())?;
        fs::create_dir_all(&tools).map_err(|error| error.to_string())?;
        let package = package(scratch.path()).ok_or("apt-get downloaded no package")?;
        let mut extract = Command::new("dpkg-deb");
        run(extract.arg("-x").arg(package).arg(tools.join("v2ray")))?;
    }
    let mut version = Command::new(&program);
    let version = run(version.arg("-version"))?;
    if version.starts_with("V2Ray 4") {
        Ok(program)
    } else {
        Err(format!("another version: {version}"))
    }
}

/// Uses the machine's lists of packages, or, if they do not have the package, new lists.
fn fetch(folder: &Path) -> Result<(), String> {
    let mut download = Command::new("apt-get");
    if run(download.args(["download", "v2ray"]).current_dir(folder)).is_ok() {
        return Ok(());
    }
    let own = |command: &str| {
        let mut apt = Command::new("apt-get");
        for (key, name) in [("Dir::State::Lists", "lists"), ("Dir::Cache", "cache")] {
            fs::create_dir_all(folder.join(name).join("partial")).unwrap();
            let path = folder.join(name);
            apt.arg("-o").arg(format!("{key}={}", path.display()));
        }
        apt.args(command.split(' ')).current_dir(folder);
        run(&mut apt)
    };
    own("update")?;
    own("download v2ray").map(drop)
}

fn package(folder: &Path) -> Option<PathBuf> {
    let mut files = fs::read_dir(folder)
        .ok()?
        .flatten()
        .map(|entry| entry.path());
    files.find(|path| path.extension().is_some_and(|extension| extension == "deb"))
}

fn run(command: &mut Command) -> Result<String, String> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.map_err(|error| format!("{command:?}: {error}"))?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    if output.status.success() {
        Ok(text)
    } else {
        Err(format!("{command:?}: {}", error.trim()))
    }
}

/// A node with two users, and the users' program.
pub struct Network {
    program: PathBuf,
    folder: PathBuf,
    pub api: SocketAddr,
    node: Option<Process>,
    _users: Process,
    socks: Vec<SocketAddr>,
    origin: SocketAddr,
}

impl Network {
    /// `users` are pairs of the secret and the name of each user.
    pub fn start(program: PathBuf, folder: &Path, users: &[(String, String)]) -> Self {
        let (api, inbound) = (free_address(), free_address());
        let socks: Vec<_> = users.iter().map(|_| free_address()).collect();
        let write = |name: &str, config: &Value| {
            fs::write(folder.join(name), config.to_string()).unwrap();
        };
        write("node.json", &node_config(api, inbound, users));
        write("users.json", &users_config(inbound, &socks, users));
        let users = Process::start(&program, &folder.join("users.json"), &socks);
        let mut network = Self {
            program,
            folder: folder.to_owned(),
            api,
            node: None,
            _users: users,
            socks,
            origin: origin(),
        };
        network.restart();
        network
    }

    /// Ends the node with all its counters, and starts it.
    pub fn restart(&mut self) {
        self.node = None;
        let config = self.folder.join("node.json");
        self.node = Some(Process::start(&self.program, &config, &[self.api]));
    }

    /// Carries bytes for a user, through both programs, to a server and back.
    pub fn carry(&self, user: usize, upload: u32, download: u32) {
        carry(self.socks[user], self.origin, upload, download);
    }
}

struct Process(Child);

impl Process {
    /// Waits until the program listens.
    fn start(program: &Path, config: &Path, addresses: &[SocketAddr]) -> Self {
        let mut command = Command::new(program);
        command.arg("-config").arg(config);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let mut process = Self(command.spawn().unwrap());
        let until = Instant::now() + Duration::from_secs(20);
        for address in addresses {
            while TcpStream::connect(address).is_err() {
                assert!(process.0.try_wait().unwrap().is_none(), "V2Ray ended");
                assert!(Instant::now() < until, "V2Ray does not listen");
                thread::yield_now();
            }
        }
        process
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn node_config(api: SocketAddr, inbound: SocketAddr, users: &[(String, String)]) -> Value {
    let clients = users
        .iter()
        .map(|(secret, name)| json!({ "id": secret, "alterId": 0, "email": name }));
    json!({
        "log": { "loglevel": "none" },
        "stats": {},
        "policy": { "levels": { "0": { "statsUserUplink": true, "statsUserDownlink": true } } },
        "api": { "tag": "api", "services": ["StatsService"] },
        "inbounds": [
            { "tag": "api", "listen": "127.0.0.1", "port": api.port(),
              "protocol": "dokodemo-door", "settings": { "address": "127.0.0.1" } },
            { "tag": "in", "listen": "127.0.0.1", "port": inbound.port(), "protocol": "vmess",
              "settings": { "clients": clients.collect::<Vec<_>>() } }
        ],
        "outbounds": [{ "protocol": "freedom" }],
        "routing": { "rules": [
            { "type": "field", "inboundTag": ["api"], "outboundTag": "api" }
        ] }
    })
}

fn users_config(node: SocketAddr, socks: &[SocketAddr], users: &[(String, String)]) -> Value {
    let numbers = 0..users.len();
    let inbounds = socks.iter().zip(numbers.clone()).map(|(socks, number)| {
        json!({ "tag": format!("in{number}"), "listen": "127.0.0.1", "port": socks.port(),
            "protocol": "socks", "settings": { "auth": "noauth" } })
    });
    let outbounds = users
        .iter()
        .zip(numbers.clone())
        .map(|((secret, _), number)| {
            json!({ "tag": format!("out{number}"), "protocol": "vmess", "settings": { "vnext": [
            { "address": "127.0.0.1", "port": node.port(),
              "users": [{ "id": secret, "alterId": 0, "security": "auto" }] }
        ] } })
        });
    let rules = numbers.map(|number| {
        json!({ "type": "field", "inboundTag": [format!("in{number}")],
            "outboundTag": format!("out{number}") })
    });
    json!({
        "log": { "loglevel": "none" },
        "inbounds": inbounds.collect::<Vec<_>>(),
        "outbounds": outbounds.collect::<Vec<_>>(),
        "routing": { "rules": rules.collect::<Vec<_>>() }
    })
}

/// A server that reads two lengths, reads as many bytes as the first one, and sends the second.
fn origin() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            thread::spawn(move || serve(&stream.unwrap()));
        }
    });
    address
}

fn serve(mut stream: &TcpStream) -> Option<()> {
    let mut lengths = [0; 8];
    stream.read_exact(&mut lengths).ok()?;
    let length = |bytes: &[u8]| u32::from_be_bytes(bytes.try_into().unwrap());
    let upload = length(&lengths[..4]);
    std::io::copy(&mut stream.take(u64::from(upload)), &mut std::io::sink()).ok()?;
    let download = length(&lengths[4..]);
    std::io::copy(
        &mut std::io::repeat(7).take(u64::from(download)),
        &mut stream,
    )
    .ok()?;
    Some(())
}

fn carry(socks: SocketAddr, origin: SocketAddr, upload: u32, download: u32) {
    let mut stream = TcpStream::connect(socks).unwrap();
    stream.write_all(&[5, 1, 0]).unwrap();
    let mut method = [0; 2];
    stream.read_exact(&mut method).unwrap();
    let mut connect = vec![5, 1, 0, 1, 127, 0, 0, 1];
    connect.extend(origin.port().to_be_bytes());
    stream.write_all(&connect).unwrap();
    let mut connected = [0; 10];
    stream.read_exact(&mut connected).unwrap();
    assert_eq!(connected[..2], [5, 0]);
    let lengths = [upload.to_be_bytes(), download.to_be_bytes()].concat();
    stream.write_all(&lengths).unwrap();
    std::io::copy(&mut std::io::repeat(1).take(u64::from(upload)), &mut stream).unwrap();
    let received = std::io::copy(&mut stream, &mut std::io::sink()).unwrap();
    assert_eq!(received, u64::from(download));
}
