//! What a server tells whoever keeps its figures, and who may read them.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use hikaru_core::Report;
use hikaru_http::{Authentication, Bound, Metrics, Token, Tokens};

use crate::{
    client::{call, call_with},
    cluster::{listener, serve, shop},
};

const POST: &str = "/api/image/acme/web:acme_web_main_1.4.0_7_0123abcd";

/// Writes down what it is told.
#[derive(Default)]
struct Told(Mutex<Vec<String>>);

impl Told {
    fn tell(&self, line: String) {
        self.0.lock().expect("no panic before").push(line);
    }

    fn lines(&self) -> Vec<String> {
        self.0.lock().expect("no panic before").clone()
    }
}

impl Metrics for Told {
    fn answered(&self, route: &'static str, status: u16, _took: Duration) {
        self.tell(format!("{route} {status}"));
    }

    fn reported(&self, route: &'static str, report: &Report) {
        let codes: Vec<_> = report.codes().map(|code| code.to_string()).collect();
        self.tell(format!("{route} {}", codes.join(",")));
    }

    fn text(&self) -> String {
        "# EOF\n".to_owned()
    }
}

#[tokio::test]
async fn each_answer_and_each_report_is_told() {
    let told = Arc::new(Told::default());
    let bound = Bound::new(listener().await, shop(), Authentication::Loopback);
    let server = bound.expect("a server").metrics(told.clone()).serve();
    let address = server.address();
    let answer = call(address, "GET", "/metrics").await;
    assert_eq!((answer.status, &*answer.text), (200, "# EOF\n"));
    assert_eq!(
        answer.header("content-type"),
        Some("application/openmetrics-text; version=1.0.0; charset=utf-8")
    );
    call(
        address,
        "GET",
        "/api/candidates/acme/web:acme_web_main_1.4.0_7_0123abcd",
    )
    .await;
    call(address, "POST", POST).await;
    call(address, "POST", POST).await;
    // A route that somebody makes up, and an image, are no labels.
    call(address, "GET", "/api/image/../x").await;
    call(address, "GET", "/secret").await;
    assert_eq!(call(address, "POST", "/metrics").await.status, 405);
    assert_eq!(
        told.lines(),
        [
            "/metrics 200",
            "/api/candidates/{image} upgrade",
            "/api/candidates/{image} 200",
            "/api/image/{image} upgrade",
            "/api/image/{image} 200",
            "/api/image/{image} equal",
            "/api/image/{image} 200",
            "/api/image/{image} 400",
            "none 404",
            "/metrics 405",
        ]
    );
}

#[tokio::test]
async fn figures_need_a_token_as_the_api_does() {
    let token = Token::new(&"s3cret-t0ken-of-ours".into()).expect("a token");
    let tokens = Authentication::Tokens(Tokens::new(token, None));
    let bound = Bound::new(listener().await, shop(), tokens).expect("a server");
    let server = bound.metrics(Arc::new(Told::default())).serve();
    let address = server.address();
    assert_eq!(call(address, "GET", "/metrics").await.status, 401);
    let header = ["Authorization: Bearer s3cret-t0ken-of-ours"];
    let answer = call_with(address, "GET", "/metrics", &header).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn without_figures_there_is_no_such_route() {
    let server = serve(shop()).await;
    assert_eq!(call(server.address(), "GET", "/metrics").await.status, 404);
}
