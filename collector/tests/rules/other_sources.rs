//! Hysteria 2, WireGuard and OpenVPN, by stand-ins for their interfaces.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::thread;

use crate::support::collector::Place;
use crate::support::receiver::{Receiver, delivered};
use crate::support::user;

/// Answers every request with the current text, if it has the secret.
fn hysteria(body: Arc<Mutex<String>>) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for mut stream in listener.incoming().map(Result::unwrap) {
            let lines = BufReader::new(&stream).lines().map(Result::unwrap);
            let head: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
            assert_eq!(head[0], "GET /traffic HTTP/1.1");
            assert!(
                head.iter()
                    .any(|line| line.eq_ignore_ascii_case("authorization: hush"))
            );
            let body = body.lock().unwrap().clone();
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{body}"
            )
            .unwrap();
        }
    });
    address
}

/// No reader sees a part of it.
fn replace(path: &Path, content: &str) {
    let new = path.with_extension("new");
    fs::write(&new, content).unwrap();
    fs::rename(new, path).unwrap();
}

fn openvpn(rows: &[(&str, u64, u64, u32)]) -> String {
    let rows = rows.iter().map(|(name, received, sent, client)| {
        format!("CLIENT_LIST\t{name}\t{received}\t{sent}\t1000\t{client}\n")
    });
    format!(
        "TITLE\tOpenVPN 2.6.14\nHEADER\tCLIENT_LIST\tCommon Name\tBytes Received\tBytes Sent\t\
         Connected Since (time_t)\tClient ID\n{}END\n",
        rows.collect::<String>()
    )
}

#[test]
fn every_kind_of_source_is_reported_from_its_baseline_on() {
    let body = Arc::new(Mutex::new(r#"{"alice":{"tx":100,"rx":100}}"#.to_owned()));
    let address = hysteria(Arc::clone(&body));
    let receiver = Receiver::start();
    let place = Place::new(&receiver.url(), "");
    let (wireguard, status) = (place.path("wg"), place.path("status"));
    replace(&wireguard, "wg0\tkey=\t100\t100\n");
    replace(&status, &openvpn(&[("carol", 100, 100, 0)]));
    let sources = format!(
        "users_file = \"{}\"\n\
         [[source]]\nkind = \"hysteria2\"\naddress = \"{address}\"\nsecret = \"hush\"\n\
         [[source]]\nkind = \"wireguard\"\ncommand = [\"cat\", \"{}\"]\nnode_client_id = 5\n\
         [[source]]\nkind = \"openvpn\"\npath = \"{}\"\n",
        place.path("users").display(),
        wireguard.display(),
        status.display()
    );
    let [alice, bob, carol] = [1, 2, 3].map(user);
    let users = format!("name,user\nalice,{alice}\nkey=,{bob}\ncarol,{carol}\n");
    replace(&place.path("users"), &users);
    place.configure(7, &receiver.url(), &sources);
    let first = place.start();
    receiver.wait("no heartbeat", |reports| !reports.is_empty());
    assert!(first.stop());
    let (text, code) = place.run_to_end(&["check"]);
    assert_eq!(code, 0, "{text}");

    // Alice's server is restarted, bob goes on, and carol connects a second time.
    *body.lock().unwrap() = r#"{"alice":{"tx":1,"rx":2}}"#.to_owned();
    replace(&wireguard, "wg0\tkey=\t103\t104\n");
    replace(
        &status,
        &openvpn(&[("carol", 101, 100, 0), ("carol", 5, 6, 1)]),
    );
    let running = place.start();
    let expected = [
        (alice.to_string(), (1, 2)),
        (format!("{bob}|5"), (3, 4)),
        (carol.to_string(), (6, 6)),
    ];
    receiver.wait("not every source is reported", |reports| {
        delivered(reports) == expected.clone().into()
    });
    assert!(running.stop());
    assert_eq!(delivered(&receiver.reports()), expected.into());
}
