//! `hikaru token new`: a token, and what the file of callers says of who has it. What an entry may say is decided in hikaru-http.

use hikaru_http::{CallerSet, CallersFileError, Token};
use secrecy::ExposeSecret as _;

use super::{End, Failure};
use crate::{
    args::{
        Args,
        token::{TokenCommand, TokenNew},
    },
    terminal,
};

pub(super) fn run(command: &TokenCommand) -> Result<End, Failure> {
    let TokenCommand::New(args) = command;
    let (text, token) =
        Token::random().ok_or_else(|| "the system gives no random bytes".to_owned())?;
    let entry = entry(args, &token);
    if let Err(why) = check(&entry) {
        Args::usage_error("token new", &why);
    }
    terminal::tell(
        "the token is shown this once: give it to the caller. The entry below it belongs under `callers:` in the file of HIKARU_CALLERS_FILE",
    );
    if args.identity.is_empty() && args.namespace.is_empty() {
        terminal::tell(
            "the caller is not narrowed: its rights count for every workload and every Job. --identity and --namespace narrow them",
        );
    }
    terminal::print(&format!("{}\n\n{entry}", text.expose_secret()))?;
    Ok(End::Done)
}

/// The entry of a caller, which says what the arguments say. Its rights stand last: they have to be there, so an entry that was copied in
/// part is refused. Without its identities alone it would be a caller that sees everything.
fn entry(args: &TokenNew, token: &Token) -> String {
    let TokenNew {
        name,
        rights,
        identity,
        namespace,
        expires,
    } = args;
    let mut lines = vec![
        format!("  - name: {}", scalar(name)),
        format!("    tokenSha256: {}", token.sha256()),
    ];
    for (key, texts) in [("identities", identity), ("namespaces", namespace)] {
        if !texts.is_empty() {
            lines.push(format!("    {key}: {}", list(texts)));
        }
    }
    lines.extend(
        expires
            .iter()
            .map(|day| format!("    expires: {}", scalar(day))),
    );
    lines.push(format!("    rights: {}", list(rights)));
    lines.join("\n") + "\n"
}

/// The arguments are read as the file will be.
fn check(entry: &str) -> Result<(), String> {
    let read = CallerSet::from_yaml(&format!("callers:\n{entry}"), &mut |path| {
        Err(format!("{path} is not read"))
    });
    match read {
        Ok(_) => Ok(()),
        // Nobody has seen the line yet.
        Err(CallersFileError::At { problem, .. }) => Err(problem),
        Err(error) => Err(error.to_string()),
    }
}

fn list(texts: &[String]) -> String {
    let texts: Vec<String> = texts.iter().map(|text| scalar(text)).collect();
    format!("[{}]", texts.join(", "))
}

/// A text in YAML: as it is where that is plain, else as JSON has it, which YAML reads alike.
fn scalar(text: &str) -> String {
    let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"-._/*:".contains(&b);
    let is_begun = text.starts_with(|c: char| c.is_ascii_alphanumeric());
    let is_nothing = text.eq_ignore_ascii_case("null");
    match is_begun && !is_nothing && !text.ends_with(':') && text.bytes().all(is_plain) {
        true => text.to_owned(),
        false => serde_json::Value::from(text).to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(name: &str, rights: &[&str]) -> TokenNew {
        TokenNew {
            name: name.to_owned(),
            rights: rights.iter().map(|right| (*right).to_owned()).collect(),
            identity: Vec::new(),
            namespace: Vec::new(),
            expires: None,
        }
    }

    fn read(args: &TokenNew, token: &Token) -> Result<CallerSet, String> {
        let entry = entry(args, token);
        check(&entry)?;
        let file = format!("callers:\n{entry}");
        CallerSet::from_yaml(&file, &mut |_| Err(String::new())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_entry_is_what_the_parser_reads() {
        let (_, token) = Token::random().expect("random bytes");
        let mut all = args("ci", &["read", "force:held"]);
        all.identity = vec!["acme/shop/*".to_owned(), "*/shop/main".to_owned()];
        all.namespace = vec!["dev".to_owned(), "123".to_owned()];
        all.expires = Some("2027-06-30T12:00:00+02:00".to_owned());
        let set = read(&all, &token).expect("an entry");
        let known = &set.callers[0];
        assert!(known.token == token && known.expires.is_some());
        assert_eq!(&*known.caller.name, "ci");
        assert_eq!(known.caller.identities[1].to_string(), "*/shop/main");
        assert_eq!(known.caller.namespaces, ["dev".into(), "123".into()]);
        for name in ["a", "true", "1.0", "-", "._-", "null"] {
            let set = read(&args(name, &["read"]), &token).expect(name);
            assert_eq!(&*set.callers[0].caller.name, name);
        }
    }

    #[test]
    fn a_part_of_an_entry_is_none() {
        let (_, token) = Token::random().expect("random bytes");
        let mut all = args("ci", &["read", "force:held"]);
        all.identity = vec!["acme/shop/*".to_owned()];
        all.namespace = vec!["dev".to_owned()];
        all.expires = Some("2027-06-30".to_owned());
        let entry = entry(&all, &token);
        let whole = entry.trim_end();
        assert!(check(whole).is_ok(), "{whole}");
        for end in 0..whole.len() {
            assert!(check(&whole[..end]).is_err(), "{}", &whole[..end]);
        }
    }

    #[test]
    fn an_argument_is_one_value_whatever_it_is() {
        let (_, token) = Token::random().expect("random bytes");
        for name in [
            "",
            "a b",
            "a\n  rights: [force]",
            "a, b",
            "\u{2028}",
            "#",
            "'",
            "~a",
            "a: b",
            "a:",
        ] {
            let error = read(&args(name, &["read"]), &token).expect_err(name);
            assert!(
                error.starts_with("expected a name of 1 to 63 "),
                "{name:?}: {error}"
            );
        }
        for right in ["", "read]", "read #", "\n", "*"] {
            let error = read(&args("ci", &[right]), &token).expect_err(right);
            assert!(
                error.starts_with("expected metrics, read, "),
                "{right:?}: {error}"
            );
        }
    }
}
