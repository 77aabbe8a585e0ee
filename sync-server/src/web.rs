//! The web app's files, where the relay serves them: static, and under a policy that lets the page
//! run its own code only and talk to this relay only.

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse as _, Response};
use tower_http::services::ServeDir;

use crate::config::Config;
use crate::server::ServerError;

/// Nothing but the page's own files: no inline script or style, no other origin, no frame around
/// it. `wasm-unsafe-eval` compiles WebAssembly and nothing else; `'self'` in `connect-src` is this
/// relay, its socket included (CSP 3, section 6.7.2.8).
const POLICY: &str = "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; \
    style-src 'self'; img-src 'self' data: blob:; font-src 'self'; connect-src 'self'; \
    worker-src 'self'; manifest-src 'self'; media-src 'self' blob:; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";
/// The page reads QR codes by camera, and asks for nothing else.
const PERMISSIONS: &str = "camera=(self), microphone=(), geolocation=(), payment=(), usb=()";
/// Files whose names carry a hash of their content are here.
const HASHED: &str = "/assets/";
/// A hashed name never gets other content.
const FOR_EVER: HeaderValue = HeaderValue::from_static("public, max-age=31536000, immutable");
/// All other files are asked for anew each time, and sent again only if they changed.
const ASK_AGAIN: HeaderValue = HeaderValue::from_static("no-cache");

/// Headers of every answer under the web app's paths.
const HEADERS: [(HeaderName, HeaderValue); 6] = [
    (CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY)),
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (HeaderName::from_static("permissions-policy"), HeaderValue::from_static(PERMISSIONS)),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
];

/// What serves the web app, if there is to be one.
///
/// # Errors
/// [`ServerError::Web`] if the folder has none.
pub(crate) fn files(config: &Config) -> Result<Option<Router>, ServerError> {
    let Some(folder) = &config.web else { return Ok(None) };
    if !folder.join("index.html").is_file() {
        return Err(ServerError::Web(folder.clone()));
    }
    let files = ServeDir::new(folder).precompressed_br().precompressed_gzip();
    Ok(Some(Router::new().fallback_service(files).layer(from_fn(dress))))
}

/// Refuses what is not a file of the app, and gives every answer its headers.
async fn dress(request: Request, next: Next) -> Response {
    let path = request.uri().path().to_owned();
    let readable = matches!(*request.method(), Method::GET | Method::HEAD);
    let mut response = if !readable {
        StatusCode::METHOD_NOT_ALLOWED.into_response()
    } else if is_strange(&path) {
        StatusCode::NOT_FOUND.into_response()
    } else {
        next.run(request).await
    };
    let found = response.status().is_success() || response.status() == StatusCode::NOT_MODIFIED;
    let lasts = found && path.starts_with(HASHED);
    let headers = response.headers_mut();
    headers.insert(CACHE_CONTROL, if lasts { FOR_EVER } else { ASK_AGAIN });
    headers.extend(HEADERS);
    response
}

/// Files that begin with a dot are left over from tools, never part of an app; and an empty segment
/// could turn the redirection to a folder into one to another host.
fn is_strange(path: &str) -> bool {
    let path = path.to_ascii_lowercase().replace("%2e", ".").replace("%2f", "/");
    path.contains("/.") || path.contains("//")
}
