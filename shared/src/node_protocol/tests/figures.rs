//! Measurements. Run them with `cargo test --release -p shared figures -- --ignored --nocapture`.

use std::time::Instant;

use uuid::Uuid;

use super::super::mod_mu::UserForm;
use super::super::users::ListedUser;
use super::super::{credentials, gzip, mod_mu, uniproxy};

fn measured<T>(what: &str, work: impl Fn() -> T) -> T {
    let mut best = None;
    for _ in 0..5 {
        let start = Instant::now();
        drop(work());
        let took = start.elapsed();
        best = Some(best.map_or(took, |best| took.min(best)));
    }
    println!("{what}: {:?}", best.unwrap_or_default());
    work()
}

#[test]
#[ignore = "a measurement"]
fn a_push_of_100_000_lines() {
    let rows: Vec<String> = (1..=100_000)
        .rev()
        .map(|n| format!("\"{n}\":[{},{}]", n * 37, n * 12_345))
        .collect();
    let body = format!("{{{}}}", rows.join(","));
    println!("body: {} bytes", body.len());
    let push = measured("UniProxy", || uniproxy::push(body.as_bytes()).unwrap());
    measured("its hash", || push.hash());
    measured("its credentials", || {
        credentials::uniproxy([("token", "t")], body.as_bytes()).unwrap()
    });
    let rows: Vec<String> = (1..=100_000)
        .rev()
        .map(|n| format!("{{\"user_id\":{n},\"u\":{},\"d\":{}}}", n * 37, n * 12_345))
        .collect();
    let body = format!("{{\"data\":[{}]}}", rows.join(","));
    println!("body: {} bytes", body.len());
    let same = measured("mod_mu", || mod_mu::traffic(body.as_bytes()).unwrap());
    assert_eq!(push, same);
}

#[test]
#[ignore = "a measurement"]
fn a_list_of_30_000_users() {
    let user = |number: i32| {
        let secret = Uuid::new_v4();
        let random = i32::from(secret.as_bytes()[0]);
        ListedUser {
            number,
            secret,
            speed_limit_mbps: Some(random % 4 * 100),
            device_limit: 1 + random / 4 % 3 * 2,
        }
    };
    let users: Vec<ListedUser> = (100_000..130_000).map(user).collect();
    let write = || uniproxy::users(&users, Uuid::nil()).unwrap();
    let body = measured("UniProxy", write);
    let packed = measured("compression", || gzip::compress(&body).unwrap());
    let in_base64 = packed.len().div_ceil(3) * 4;
    println!(
        "{} bytes, compressed {}, in Base64 {in_base64}",
        body.len(),
        packed.len()
    );
    let write = || mod_mu::users(&users, UserForm::Uuid, Uuid::nil()).unwrap();
    let body = measured("mod_mu", write);
    let packed = gzip::compress(&body).unwrap();
    println!("{} bytes, compressed {}", body.len(), packed.len());
}
