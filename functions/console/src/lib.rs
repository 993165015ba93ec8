//! Serves the files of the console, which are built from `console/` and are part of the binary.
//!
//! The console is a page of static files. It reads everything else from the HTTP API, with the
//! token of the person who signed in. So this function needs no token, no database and no key.

mod files;
mod settings;

use std::convert::Infallible;
use std::sync::Arc;

use http::header::InvalidHeaderValue;
use http_body_util::{BodyExt, Collected};
use lambda_http::tower::{Layer, ServiceExt};
use lambda_http::{Body, Request, Response, service_fn};
use shared::lambda::alb::Handler;
use tower_http::compression::{CompressionBody, CompressionLayer};

pub use files::Console;
pub use settings::Settings;

/// What answers the requests of the function. Responses are compressed as the browser accepts it.
pub fn handler(settings: &Settings) -> Result<Handler, InvalidHeaderValue> {
    let console = Arc::new(Console::new(settings)?);
    let answer = service_fn(move |request: Request| {
        let console = Arc::clone(&console);
        async move { Ok::<_, Infallible>(console.answer(&request)) }
    });
    let compressed = CompressionLayer::new().layer(answer);
    Ok(Handler::new(compressed.and_then(whole)))
}

/// Collects a compressed body, because the load balancer takes no streams from functions.
async fn whole(response: Response<CompressionBody<Body>>) -> Result<Response<Body>, Infallible> {
    let (parts, body) = response.into_parts();
    // The body is in memory already, so reading it cannot fail.
    let bytes = body.collect().await.map(Collected::to_bytes);
    Ok(Response::from_parts(
        parts,
        Body::Binary(bytes.unwrap_or_default().into()),
    ))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use http::header::{
        ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        ETAG, IF_NONE_MATCH, LOCATION,
    };
    use lambda_http::RequestExt;
    use lambda_runtime::{Context, LambdaEvent};
    use serde_json::value::RawValue;
    use serde_json::{Value, json};
    use shared::lambda::alb;

    use super::*;

    fn settings() -> Settings {
        Settings {
            issuer: "https://issuer.example.com/realm".to_owned(),
            client_id: "console".to_owned(),
            scope: "openid".to_owned(),
            api: None,
            origins: vec!["https://tokens.example.com".to_owned()],
        }
    }

    async fn send(method: &str, path: &str, headers: &[(&str, &str)]) -> Response<Body> {
        let mut request = http::Request::builder().method(method).uri(path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Body::Empty).unwrap().with_raw_http_path(path);
        let Ok(response) = handler(&settings()).unwrap().oneshot(request).await;
        response
    }

    async fn get(path: &str) -> Response<Body> {
        send("GET", path, &[]).await
    }

    /// Path of the script that the page loads first.
    async fn script() -> String {
        let page = String::from_utf8(get("/console/").await.body().to_vec()).unwrap();
        let is_script = |text: &&str| Path::new(text).extension().is_some_and(|end| end == "js");
        let name = page.split('"').find(is_script);
        format!("/console/{}", name.unwrap().trim_start_matches("./"))
    }

    #[tokio::test]
    async fn the_page_runs_only_its_own_scripts_and_reaches_only_the_issuer() {
        let page = get("/console/").await;
        assert_eq!(page.status(), 200);
        assert_eq!(page.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let policy = page.headers()[CONTENT_SECURITY_POLICY].to_str().unwrap();
        for part in [
            "default-src 'none';",
            "script-src 'self';",
            "style-src 'self';",
            "connect-src 'self' https://issuer.example.com https://tokens.example.com;",
            "frame-ancestors 'none';",
        ] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        let text = String::from_utf8(page.body().to_vec()).unwrap();
        assert!(!text.contains("<style") && !text.contains("style=") && !text.contains("onload"));
    }

    #[tokio::test]
    async fn files_with_a_hash_in_their_name_are_kept_and_all_others_revalidated() {
        let script = get(&script().await).await;
        assert_eq!(
            script.headers()[CONTENT_TYPE],
            "text/javascript; charset=utf-8"
        );
        let cache = script.headers()[CACHE_CONTROL].to_str().unwrap();
        assert!(cache.contains("immutable"), "{cache}");
        for path in ["/console/", "/console/config.json"] {
            let first = get(path).await;
            assert_eq!(first.headers()[CACHE_CONTROL], "public, no-cache");
            let tag = first.headers()[ETAG].to_str().unwrap();
            let again = send("GET", path, &[(IF_NONE_MATCH.as_str(), tag)]).await;
            assert_eq!((again.status().as_u16(), again.body().len()), (304, 0));
        }
    }

    #[tokio::test]
    async fn files_are_compressed_as_the_browser_accepts() {
        let path = script().await;
        let plain = get(&path).await;
        for encoding in ["br", "gzip"] {
            let packed = send("GET", &path, &[(ACCEPT_ENCODING.as_str(), encoding)]).await;
            assert_eq!(packed.headers()[CONTENT_ENCODING], encoding);
            assert!(packed.body().len() * 2 < plain.body().len());
        }
        assert!(!plain.headers().contains_key(CONTENT_ENCODING));
    }

    #[tokio::test]
    async fn the_page_learns_where_people_sign_in() {
        let config = get("/console/config.json").await;
        let config: Value = serde_json::from_slice(config.body()).unwrap();
        assert_eq!(
            config,
            json!({
                "issuer": "https://issuer.example.com/realm", "client_id": "console",
                "scope": "openid", "api": null
            })
        );
    }

    #[tokio::test]
    async fn the_recorded_event_of_the_load_balancer_is_answered() {
        let event = include_str!("../../../events/show-console.json").to_owned();
        let event = RawValue::from_string(event).unwrap();
        let event = LambdaEvent::new(event, Context::default());
        let answer = alb::handle(handler(&settings()).unwrap(), event).await;
        assert_eq!((answer.status_code, answer.is_base64_encoded), (200, true));
    }

    #[test]
    fn the_console_has_no_local_sign_in_of_its_own() {
        for name in files::Dist::iter() {
            let file = files::Dist::get(&name).unwrap();
            let text = String::from_utf8_lossy(&file.data);
            assert!(!text.contains("As the demo user"), "{name}");
        }
    }

    #[tokio::test]
    async fn other_paths_and_methods_are_refused() {
        let moved = get("/console").await;
        assert_eq!(
            (moved.status().as_u16(), &moved.headers()[LOCATION]),
            (308, &"console/".parse().unwrap())
        );
        for path in [
            "/console/none",
            "/console/../Cargo.toml",
            "/console/assets/",
        ] {
            assert_eq!(get(path).await.status(), 404, "{path}");
        }
        assert_eq!(send("POST", "/console/", &[]).await.status(), 405);
        let head = send("HEAD", "/console/", &[]).await;
        assert_eq!((head.status().as_u16(), head.body().len()), (200, 0));
    }
}
