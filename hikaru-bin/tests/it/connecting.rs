//! Connections that cannot be: the built program says by which variable or file, shows no secret, and ends by itself, with 1 for
//! what a person has to mend and with 4 where the server cannot be reached; `hikaru serve` waits instead.
//! Nothing here is an API server.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    net::TcpListener,
    process::Command,
    time::{Duration, Instant},
};

use super::{Ran, command, folder, run, serve::Server};

const IMAGE: &str = "acme/web:acme_web_main_1.4.0_7_0123abcd";
const SECRET: &str = "s3cr3t";

/// `hikaru upgrade` with these variables: it ends by itself, says all of it, and no secret.
#[track_caller]
fn check(code: i32, variables: &[(&str, &str)], tells: &[&str]) -> Ran {
    let args = ["upgrade", IMAGE, "--output", "json"];
    let mut upgrade = command(&args);
    upgrade.envs(variables.iter().copied());
    ends(&mut upgrade).exits(code).tells(tells)
}

#[track_caller]
fn ends(command: &mut Command) -> Ran {
    let ran = run(command);
    let Ran { out, err, .. } = &ran;
    assert!(!out.contains(SECRET) && !err.contains(SECRET), "{out}{err}");
    ran
}

/// The URL of a port at which nobody listens.
fn nobody() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    format!("https://{}", listener.local_addr().expect("an address"))
}

#[test]
fn variables_that_are_wrong_are_named() {
    let url = ("K8S_URL", "https://127.0.0.1:1");
    for (variables, told) in [
        (
            &[url, ("K8S_CERT", "/x")][..],
            "error: K8S_CERT is set, but K8S_KEY is not: expected both",
        ),
        (
            &[url, ("K8S_KEY", SECRET)],
            "error: K8S_KEY is set, but K8S_CERT is not: expected both",
        ),
        (
            &[url, ("K8S_PASSWORD", SECRET)],
            "error: K8S_PASSWORD is set, but K8S_USERNAME is not: expected both",
        ),
        (
            &[url, ("K8S_USERNAME", "me")],
            "error: K8S_USERNAME is set, but K8S_PASSWORD is not: expected both",
        ),
        (
            &[url, ("K8S-URL", "https://127.0.0.1:2")],
            "error: K8S_URL and K8S-URL are both set, to different values",
        ),
        (
            &[url, ("K8S_TOKEN", "s3cr3t\ns3cr3t")],
            "error: K8S_TOKEN: expected a token of visible ASCII characters, found a line break after 6 of them",
        ),
        (
            &[("K8S_TOKEN", SECRET)],
            "error: K8S_TOKEN is set, but K8S_URL is not",
        ),
        (
            &[url, ("K8S_CERT", "s3cr3t"), ("K8S_KEY", "s3cr3t")],
            "error: K8S_CERT: expected certificates as PEM text, as base64 of PEM, or the path of a PEM file, found no PEM \
             and no file of that name",
        ),
        (
            &[url, ("K8S_CA", "/nowhere/ca.crt")],
            "error: K8S_CA /nowhere/ca.crt: No such file or directory",
        ),
    ] {
        check(1, variables, &[told]);
    }
}

#[test]
fn both_spellings_of_a_variable_are_read() {
    // A shell cannot set it, but env can, and so can a pod.
    let url = nobody();
    let mut env = Command::new("env");
    let plain = command(&[]);
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => env.env(name, value),
            None => env.env_remove(name),
        };
    }
    env.arg(format!("K8S-URL={url}"));
    env.arg(format!("K8S-TOKEN={SECRET}"));
    env.arg(env!("CARGO_BIN_EXE_hikaru")).args(["find", IMAGE]);
    let shown = format!("cluster: the API server {url} (K8S_URL)");
    ends(&mut env)
        .exits(4)
        .tells(&[&shown, "error: unavailable: no connection: "]);
}

#[test]
fn a_host_that_is_not_there_is_told() {
    let url = nobody();
    let shown = format!("cluster: the API server {url} (K8S_URL)");
    let refused = "error: unavailable: no connection: tcp connect error: Connection refused";
    check(
        4,
        &[("K8S_URL", &url), ("K8S_TOKEN", SECRET)],
        &[&shown, refused],
    );
    let lookup = "error: unavailable: no connection: dns error: ";
    check(
        4,
        &[("K8S_HOST", "absent.invalid")],
        &["(K8S_HOST)", lookup],
    );
}

#[test]
fn a_host_that_accepts_and_never_answers_is_told_in_time() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::scope(|scope| {
        // One that never begins TLS, and one that never answers a request.
        for scheme in ["https", "http"] {
            scope.spawn(move || {
                let url = format!("{scheme}://{address}");
                let shown = format!("cluster: the API server {url} (K8S_URL)");
                check(
                    4,
                    &[("K8S_URL", &url), ("K8S_TOKEN", SECRET)],
                    &[&shown, "error: unavailable: no answer within 7 s"],
                );
            });
        }
    });
}

#[test]
fn basic_auth_is_warned_of_once() {
    let url = nobody();
    let variables = [
        ("K8S_URL", &*url),
        ("K8S_USERNAME", "me"),
        ("K8S_PASSWORD", SECRET),
    ];
    let warning =
        "K8S_USERNAME and K8S_PASSWORD: kube-apiserver has taken no basic auth since 1.19";
    let ran = check(4, &variables, &[&format!("warning: {warning}")]);
    assert_eq!(ran.err.matches(warning).count(), 1, "{}", ran.err);
    let server = Server::start(&[], &variables);
    let log = server.log();
    assert_eq!(log.matches(warning).count(), 1, "{log}");
    assert!(
        log.contains("\"level\":\"WARN\"") && !log.contains(SECRET),
        "{log}"
    );
}

/// A server that answers each request so, as long as the test runs; its URL.
fn answers(status: &'static str, message: &'static str) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = BufReader::new(stream);
            // A request to read has no body.
            let mut line = String::new();
            while stream.read_line(&mut line).is_ok_and(|bytes| bytes > 2) {
                line.clear();
            }
            let body = format!("{{\"kind\":\"Status\",\"message\":\"{message}\"}}");
            let length = body.len();
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n"
            );
            drop(
                stream
                    .get_mut()
                    .write_all(format!("{head}{body}").as_bytes()),
            );
        }
    });
    url
}

#[test]
fn readiness_names_the_cause() {
    let refused = "a part of the cluster cannot be read: deployments.apps: User cannot list (and 3 more kinds";
    let unauthorized = "has not been read completely yet: deployments.apps: the API server does not take our credentials \
                        (K8S_TOKEN): Unauthorized (and 3 more kinds";
    let away = "has not been read completely yet: deployments.apps: no connection: tcp connect error: Connection refused";
    for (url, words) in [
        (nobody(), away),
        (answers("403 Forbidden", "User cannot list"), refused),
        (answers("401 Unauthorized", "Unauthorized"), unauthorized),
    ] {
        let server = Server::start(&[], &[("K8S_URL", &url), ("K8S_TOKEN", SECRET)]);
        let begun = Instant::now();
        loop {
            let answer = server.get("/readyz").is(503);
            assert!(!answer.body.contains(SECRET), "{}", answer.body);
            if answer.body.contains(words) {
                break;
            }
            let log = server.log();
            assert!(
                begun.elapsed() < Duration::from_secs(60),
                "{}\n{log}",
                answer.body
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        assert!(!server.log().contains(SECRET));
    }
}

#[test]
fn a_kubeconfig_that_cannot_be_used_is_told() {
    let text = |user: &str, cluster: &str| {
        format!(
            "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
             clusters: [{{name: c, cluster: {{server: 'https://127.0.0.1:1'{cluster}}}}}]\n\
             users: [{{name: u, user: {user}}}]\ncontexts: [{{name: a, context: {{cluster: c, user: u}}}}]\n"
        )
    };
    let plugin = "{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never, command: sh, \
                  args: ['-c', 'echo s3cr3t; echo Log in first. >&2; exit 3']}}";
    for (user, cluster, told) in [
        (
            "{token: s3cr3t}",
            ", proxy-url: 'http://p'",
            "the context a names a proxy-url, which is not supported yet",
        ),
        (
            "{client-certificate: a.crt}",
            "",
            "client-certificate of context a of ",
        ),
        (
            "{client-certificate: a.crt}",
            "",
            ", but client-key is not: expected both",
        ),
        (
            plugin,
            "",
            "the plugin for credentials ended with exit status: 3: Log in first.",
        ),
        (
            "{token: s3cr3t}",
            "",
            "error: unavailable: no connection: tcp connect error: Connection refused",
        ),
    ] {
        let (_guard, dir) = folder(&[("config", &text(user, cluster))]);
        let path = format!("{dir}/config");
        let code = if told.contains("unavailable") { 4 } else { 1 };
        check(code, &[("KUBECONFIG", &path)], &[told]);
    }
}

#[test]
fn help_shows_no_value_of_a_variable() {
    for name in ["upgrade", "serve"] {
        let mut help = command(&[name, "--help"]);
        for name in [
            "K8S_TOKEN",
            "K8S_KEY",
            "K8S_PASSWORD",
            "HIKARU_API_TOKEN",
            "HIKARU_CONTEXT",
        ] {
            help.env(name, SECRET);
        }
        ends(&mut help)
            .exits(0)
            .prints(&["K8S_URL", "K8S_CERT", "K8S_USERNAME"]);
    }
}
