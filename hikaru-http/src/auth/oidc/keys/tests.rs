//! Keys and signatures: the examples of the standards, and keys that fit no token.

use serde_json::{Value, json};

use super::*;

/// RFC 7515, A.2.
const RS256: &str = "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4\
BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqv\
hJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw";
const RS256_N: &str = "ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZ\
S-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQ\
Y4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ";
/// RFC 7515, A.3.
const ES256: &str = "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.\
DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q";
/// RFC 8037, A.4.
const EDDSA: &str = "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.\
hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg";
/// Signed by openssl with RSA of 1024 and of 2047 bits.
const SMALL: [(&str, &str, usize); 2] = [
    (
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InNtYWxsIn0.e30.dAlpKJEdfKeWXBSJGJ9SPBr3hniOGBAarkamgljo8Cb93OOhG7E0lbDpnFKdkKubKZ2pcvPLgP-jzyi8VOo\
JVB7cj-rAe6zut4zD1PcJT2bYRwn4oZA4l5-3mGF6IfvBXGg-kwmm5SP9uChVodPir5WAjgBpOCcbp5W-fEgAezo",
        "s-uAUlvFJxTgYZ0lDn_XbNv4GWiTmU1tc2spo1N9MAW9jTVHWE_G3iYCsk-GD6UVOTQnFgBiM9gzsvpcBYfvfB9aA2c7zuqen8Xi4T__yOhVim2ZzjdnDKUkAbcnfvPF\
cc3bfc13ClNUkfVxHM6zERyKeXcK0J3ccdjITQK03Qc",
        1024,
    ),
    (
        "eyJhbGciOiJSUzI1NiIsImtpZCI6InNtYWxsIn0.e30.RS_uer9BteL9Pf5mVPuxFc1FyJezQIr3DVnmz8d-39UOyaoqF7zWIXOj5c9tR7PkxV73F797hr0M_dL5PA\
zzQSGEmM2KqfWqJ5fze9zgrhR_SPqnz1LWonzctA4zRTB7LxFYbAVrW6FqASADt-RTgEGLA6MS6uS1PA3oiHuYltl0UzQTapetSm-6eWKsMmLfGeBsnxsmA1_TTnE-7Iu\
lJCcVTGmBvYqr_owBiLSTQ6QJLJItJhonsPYZSKO9eaga20zxO0d8AQJN4TbNqttMDWXQEW3GNCt_N0unvgt7aux-vkmPAHpwJXgXaUsa0iu-TImYEF48zy7GfJQ0CyyG0w",
        "af9C8Mtl6A5Gfw7DIftjbJVw50gLjciu6L1DQe7JHExupOxLYGfj9aWQFWuUb4gkRXeU58yBC5OIKi9809dUNfyFjwrChJSjk925s_Kg64whW6htF3vGyQ9U-DhES3bDc\
ufNiUlUyX1OgWi_3rTAi6FQsDDeLooehWVG1APPN1ntsx4WIwEScSfvgtm2GSXqs9_3pa28LJ5UyqRJaanmS-_yd3Q88vNady6ZDaE8p-vFUnEVwJRkJdSylXY_JHIWY\
jxmeWE7raP1WYZtE7ItqGcVamnShBgsnZqWSttoWfP-2lyiKOUl4JufH8iutXhoyozCmGZAxQqdwC77amcr8w",
        2047,
    ),
];

fn rsa() -> Value {
    json!({"kty": "RSA", "kid": "rsa", "n": RS256_N, "e": "AQAB"})
}

fn p256() -> Value {
    json!({
        "kty": "EC", "crv": "P-256", "kid": "p256",
        "x": "f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU", "y": "x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0",
    })
}

fn ed25519() -> Value {
    json!({"kty": "OKP", "crv": "Ed25519", "kid": "ed", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})
}

/// What comes of a token and these keys: `valid`, `unknown`, or the sentence of the refusal.
#[track_caller]
fn check(token: &str, keys: &[Value]) -> String {
    // One that can be used is in each set.
    let other =
        json!({"kty": "OKP", "crv": "Ed25519", "kid": "other", "alg": "EdDSA", "x": "AAAA"});
    let mut keys = keys.to_vec();
    if keys.iter().all(|key| key["kty"] != "OKP") {
        keys.push(other);
    }
    let keys = Keys::read(json!({ "keys": keys }).to_string().as_bytes());
    match keys
        .expect("keys")
        .check(&Token::read(token).expect("a token"))
    {
        Checked::Valid => "valid".to_owned(),
        Checked::Unknown => "unknown".to_owned(),
        Checked::Refused(denied) => denied.to_string(),
    }
}

fn with(mut key: Value, member: &str, value: Value) -> Value {
    key[member] = value;
    key
}

/// A token that names a key, which says nothing of its signature.
fn naming(kid: &str, alg: &str) -> String {
    let header = json!({"alg": alg, "kid": kid}).to_string();
    format!("{}.e30.AAAA", BASE64_URL_SAFE_NO_PAD.encode(header))
}

#[test]
fn the_examples_of_the_standards_are_signed() {
    for (token, key) in [(RS256, rsa()), (ES256, p256()), (EDDSA, ed25519())] {
        assert_eq!(check(token, std::slice::from_ref(&key)), "valid");
        assert_eq!(check(token, &[rsa(), p256(), ed25519()]), "valid");
        let (message, signature) = token.rsplit_once('.').expect("a signature");
        let forged = format!(
            "{}.{signature}",
            message.replace(".e", ".f").replace(".R", ".S")
        );
        let refused = check(&forged, &[key]);
        assert_eq!(
            refused,
            "the token is not valid: its signature is not the issuer's"
        );
    }
    // Some issuers write the zero in front that DER has.
    let n = BASE64_URL_SAFE_NO_PAD.decode(RS256_N).expect("base64url");
    let n = BASE64_URL_SAFE_NO_PAD.encode([&[0], &n[..]].concat());
    assert_eq!(check(RS256, &[with(rsa(), "n", json!(n))]), "valid");
}

#[test]
fn a_small_rsa_key_is_refused() {
    for (token, n, bits) in SMALL {
        let key = json!({"kty": "RSA", "kid": "small", "n": n, "e": "AQAB"});
        let expected = format!(
            "the token is not valid: the key `small` of its issuer is RSA of {bits} bits, where 2048 are the least, and it is signed by \
             RS256"
        );
        assert_eq!(check(token, &[key]), expected);
    }
}

#[test]
fn a_key_that_is_for_something_else_fits_no_token() {
    for (key, why) in [
        (with(rsa(), "alg", json!("RS512")), "is for `RS512`"),
        (with(rsa(), "alg", json!("RSA-OAEP")), "is for `RSA-OAEP`"),
        (with(rsa(), "use", json!("enc")), "has the use `enc`"),
        (
            with(rsa(), "key_ops", json!(["sign", "encrypt"])),
            "is not for the operation verify",
        ),
        (
            with(rsa(), "key_ops", json!([])),
            "is not for the operation verify",
        ),
        (with(rsa(), "kty", json!("oct")), "has the type `oct`"),
        (with(rsa(), "kty", json!("rsa")), "has the type `rsa`"),
        (
            with(rsa(), "n", json!("not base64url")),
            "has no `n` in base64url",
        ),
        (with(rsa(), "e", Value::Null), "has no `e` in base64url"),
        (
            with(rsa(), "n", json!("")),
            "is RSA of 0 bits, where 2048 are the least",
        ),
        (
            with(rsa(), "n", json!("AAAA")),
            "is RSA of 0 bits, where 2048 are the least",
        ),
    ] {
        let refused = check(&naming("rsa", "RS256"), std::slice::from_ref(&key));
        let expected = format!(
            "the token is not valid: the key `rsa` of its issuer {why}, and it is signed by RS256"
        );
        assert_eq!(refused, expected);
        // Nor one that names no key.
        assert_eq!(check(RS256, &[key]), "unknown");
    }
    for (key, why) in [
        (
            with(p256(), "crv", json!("P-384")),
            "has the type `EC` and the curve `P-384`",
        ),
        (
            with(p256(), "x", json!("AAAA")),
            "has coordinates of another length than 32 bytes",
        ),
        (p256(), "is for ES256"),
    ] {
        let refused = check(&naming("p256", "RS256"), &[key]);
        assert!(
            refused.contains(&format!("the key `p256` of its issuer {why}, and")),
            "{refused}"
        );
    }
    for fits in [
        with(rsa(), "alg", json!("RS256")),
        with(rsa(), "use", json!("sig")),
        with(rsa(), "key_ops", json!(["verify"])),
    ] {
        assert_eq!(check(RS256, &[fits]), "valid");
    }
}

#[test]
fn exactly_one_key_has_to_fit() {
    let twice = [rsa(), with(rsa(), "kid", json!("again"))];
    assert_eq!(
        check(RS256, &twice),
        "the token is not valid: 2 keys of its issuer fit it, and exactly one has to"
    );
    let refused = check(&naming("rsa", "RS256"), &[rsa(), rsa()]);
    assert_eq!(
        refused,
        "the token is not valid: 2 keys of its issuer fit it, and exactly one has to"
    );
    // A key of another kind may have the same id.
    let refused = check(
        &naming("rsa", "RS256"),
        &[with(p256(), "kid", json!("rsa")), rsa()],
    );
    assert_eq!(
        refused,
        "the token is not valid: its signature is not the issuer's"
    );
    for kid in ["RSA", "rsa ", "", "../rsa", "rs"] {
        assert_eq!(check(&naming(kid, "RS256"), &[rsa()]), "unknown", "{kid}");
    }
    let mut without = rsa();
    without.as_object_mut().expect("an object").remove("kid");
    assert_eq!(check(RS256, std::slice::from_ref(&without)), "valid");
    assert_eq!(check(&naming("rsa", "RS256"), &[without]), "unknown");
}

#[test]
fn what_is_no_set_of_keys_is_refused() {
    for document in [
        "",
        "<html>",
        "[]",
        "{}",
        r#"{"keys": {}}"#,
        r#"{"keys": 1}"#,
        "{\"keys\": [\u{0}]}",
    ] {
        let why = Keys::read(document.as_bytes()).expect_err(document);
        assert!(why.starts_with("expected JSON with a list `keys`"), "{why}");
    }
    for keys in [
        json!([]),
        json!(["a", 1, null, {}]),
        json!([with(rsa(), "use", json!("enc"))]),
    ] {
        let why = Keys::read(json!({ "keys": keys }).to_string().as_bytes()).expect_err("no keys");
        assert!(why.starts_with("it has no key that can be used"), "{why}");
    }
    let set = |count: usize| json!({"keys": vec![rsa(); count]}).to_string();
    assert!(Keys::read(set(100).as_bytes()).is_ok());
    let why = Keys::read(set(101).as_bytes()).expect_err("too many");
    assert_eq!(why, "expected at most 100 keys, found 101");
}
