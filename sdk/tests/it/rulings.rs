//! The meaning of a reply is read from its body, whatever its status. The rulings are listed in `src/outcome.rs`.

use std::io::Read;

use autoshares_sdk::{
    Answered, AppKey, Client, ErrorCode, ErrorKind, RefusalShape, ResetRequested, Unreadable,
};

use flate2::{
    Compression,
    read::{DeflateEncoder, GzEncoder, ZlibEncoder},
};

use crate::upstream::{Upstream, response};

const STATUSES: [u16; 8] = [200, 202, 400, 401, 403, 404, 422, 500];
const KEY_REJECTED: &str = r#"{"error": "Application key is not defined or does not exist"}"#;

fn client(upstream: &Upstream) -> Client {
    Client::builder(upstream.base_url()).app_key(AppKey::new("canary-key-5c1d").unwrap()).build().unwrap()
}

#[track_caller]
fn unreadable(kind: &ErrorKind) -> Unreadable {
    match kind {
        ErrorKind::Unreadable(unreadable) => *unreadable,
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn refused(kind: &ErrorKind) -> (RefusalShape, Vec<String>, Vec<String>) {
    match kind {
        ErrorKind::Refused(refusal) => (
            refusal.shape(),
            refusal.messages().to_vec(),
            refusal.codes().iter().map(|code| code.as_str().to_owned()).collect(),
        ),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn no_listed_error_accepts_a_reset_whatever_is_succeed_says() {
    for status in STATUSES {
        for (body, flag) in [
            (r#"{"Errors": [], "IsSucceed": false}"#, false),
            (r#"{"Errors": [], "IsSucceed": true}"#, true),
            (
                r#"{"Errors": null, "ErrorsCode": null, "Model": null, "IsSucceed": false, "More": [1]}"#,
                false,
            ),
            (r#"{"IsSucceed": false}"#, false),
        ] {
            let upstream = Upstream::json(status, body);
            match client(&upstream).request_reset(&"robert.zak".into(), None).await.map(Answered::into_inner)
            {
                Ok(ResetRequested::Accepted(accepted)) => assert_eq!(accepted.sent_flag(), flag),
                other => panic!("{status} {body}: {other:?}"),
            }
        }
    }
}

#[tokio::test]
async fn a_missing_answer_is_an_outcome_and_another_refusal_an_error() {
    let needed = r#"{"Errors": ["Answer is incorrect, try again."], "ErrorsCode": ["ErrorIncorrectAnswer"], "IsSucceed": false}"#;
    for status in STATUSES {
        let upstream = Upstream::json(status, needed);
        match client(&upstream).request_reset(&"robert.zak".into(), None).await.map(Answered::into_inner) {
            Ok(ResetRequested::AnswerNeeded(refusal)) => {
                assert_eq!(refusal.messages(), ["Answer is incorrect, try again."]);
                assert_eq!(refusal.codes(), [ErrorCode::IncorrectAnswer]);
            }
            other => panic!("{status}: {other:?}"),
        }
    }
    let upstream = Upstream::json(200, r#"{"Errors": [], "ErrorsCode": ["Locked"], "IsSucceed": true}"#);
    let error = client(&upstream).request_reset(&"robert.zak".into(), None).await.unwrap_err();
    assert_eq!(refused(error.kind()), (RefusalShape::Envelope, vec![], vec!["Locked".to_owned()]));
    assert!(!error.may_have_been_applied());
}

#[tokio::test]
async fn later_steps_succeed_with_true_and_no_errors_only() {
    for status in STATUSES {
        let good = Upstream::json(status, r#"{"Model": "ba6b8cac-6738", "Errors": [], "IsSucceed": true}"#);
        let good = client(&good);
        assert_eq!(good.redeem_code(&"741175".into()).await.unwrap().expose(), "ba6b8cac-6738");
        assert_eq!(
            good.fetch_question(&"robert.zak".into()).await.unwrap().as_ref().unwrap().expose(),
            "ba6b8cac-6738"
        );
        good.set_password(&"token".into(), &"word".into()).await.unwrap();

        for (body, messages) in [
            (r#"{"Model": "x", "Errors": [], "IsSucceed": false}"#, 0),
            (r#"{"IsSucceed": false}"#, 0),
            (
                r#"{"Model": "string", "Errors": ["string"], "ErrorsCode": ["string"], "StatusCode": "Continue", "IsSucceed": true}"#,
                1,
            ),
        ] {
            let bad = Upstream::json(status, body);
            let bad = client(&bad);
            let errors = [
                bad.redeem_code(&"741175".into()).await.unwrap_err(),
                bad.fetch_question(&"robert.zak".into()).await.unwrap_err(),
                bad.set_password(&"token".into(), &"word".into()).await.unwrap_err(),
            ];
            for error in errors {
                assert_eq!(refused(error.kind()).1.len(), messages, "{status} {body}");
                assert_eq!(error.status(), Some(status));
            }
        }
    }
}

#[tokio::test]
async fn an_empty_question_is_none_and_an_empty_token_is_no_success() {
    for body in [
        r#"{"Model": "", "Errors": [], "IsSucceed": true}"#,
        r#"{"Model": null, "IsSucceed": true}"#,
        r#"{"IsSucceed": true}"#,
    ] {
        let upstream = Upstream::json(200, body);
        assert!(client(&upstream).fetch_question(&"anna.lee".into()).await.unwrap().is_none());
        let error = client(&upstream).redeem_code(&"741175".into()).await.unwrap_err();
        assert_eq!(unreadable(error.kind()), Unreadable::NoToken);
        assert!(error.may_have_been_applied());
    }
}

#[tokio::test]
async fn a_rejected_key_is_one_whatever_the_status() {
    for status in STATUSES {
        let upstream = Upstream::json(status, KEY_REJECTED);
        let error = client(&upstream).redeem_code(&"741175".into()).await.unwrap_err();
        assert!(matches!(error.kind(), ErrorKind::KeyRejected), "{status}: {error}");
        assert!(!error.may_have_been_applied());
    }
}

#[tokio::test]
async fn the_other_known_shapes_are_recognised() {
    let state = r#"{"Message": "Validation error", "ModelState": {"b": ["second"], "a": ["first"]}}"#;
    let server = r#"{"message": "An error occurred while processing your request", "error": "Unexpected server error"}"#;
    let version = r#"{"Error": {"Code": "UnsupportedApiVersion", "Message": "not supported"}}"#;
    for (body, shape, messages, codes, applied) in [
        (
            r#"{"Message": "The request is invalid."}"#,
            RefusalShape::Request,
            vec!["The request is invalid."],
            vec![],
            false,
        ),
        (state, RefusalShape::Validation, vec!["first", "second"], vec![], false),
        (version, RefusalShape::Version, vec!["not supported"], vec!["UnsupportedApiVersion"], false),
        (
            server,
            RefusalShape::ServerFailure,
            vec!["An error occurred while processing your request", "Unexpected server error"],
            vec![],
            true,
        ),
    ] {
        // The other statuses speak for themselves.
        for status in [200, 202, 400, 402, 409, 422] {
            let upstream = Upstream::json(status, body);
            let error = client(&upstream).set_password(&"token".into(), &"word".into()).await.unwrap_err();
            let expected = (
                shape,
                messages.iter().map(ToString::to_string).collect(),
                codes.iter().map(ToString::to_string).collect(),
            );
            assert_eq!(refused(error.kind()), expected, "{status} {body}");
            // With one of these statuses a server says that it did not like the request, so the call counts as not applied. The one
            // exception is a platform failure, which counts as possibly applied whatever its status.
            let turned_away = [400, 422].contains(&status);
            assert_eq!(error.may_have_been_applied(), applied || !turned_away, "{status} {body}");
        }
    }
}

/// Ruling 11 of the facts: whatever the body, but for an envelope and for a rejected key.
#[tokio::test]
async fn a_failure_of_the_platform_says_nothing_about_what_was_asked() {
    let turned_away = [401, 403, 404, 405, 408, 413, 415, 429, 503];
    let failed = [500, 501, 502, 504, 520];
    for status in turned_away.into_iter().chain(failed) {
        for body in [
            r#"{"Message": "An error has occurred."}"#,
            r#"{"Message": "Too many requests.", "MessageDetail": "wait"}"#,
            r#"{"message": "An error occurred while processing your request", "error": "Unexpected server error"}"#,
            r#"{"Message": "no", "ModelState": {"a": ["b"]}}"#,
            r#"{"Error": {"Code": "UnsupportedApiVersion", "Message": "not supported"}}"#,
            "<html>not now</html>",
            "",
        ] {
            let upstream = Upstream::answering(response(status, &[("Retry-After", "7")], body));
            let client = client(&upstream).without_retries();
            for error in [
                client.request_reset(&"robert.zak".into(), None).await.map(drop).unwrap_err(),
                client.redeem_code(&"741175".into()).await.map(drop).unwrap_err(),
            ] {
                match error.kind() {
                    ErrorKind::TurnedAway => assert!(turned_away.contains(&status), "{status} {body}"),
                    ErrorKind::Failed => assert!(failed.contains(&status), "{status} {body}"),
                    other => panic!("{status} {body}: {other:?}"),
                }
                assert_eq!(error.may_have_been_applied(), failed.contains(&status), "{status} {body}");
                assert_eq!(error.retry_after(), Some(std::time::Duration::from_secs(7)));
                assert_eq!(error.status(), Some(status));
            }
        }
    }
}

/// The key may hide in a refusal that is otherwise good.
#[tokio::test]
async fn a_refusal_that_quotes_a_piece_of_the_key_says_so() {
    for (errors, quotes) in [
        (r#""bad key CANARYKEY5""#, true),
        (r#""it begins cana", "ry-key and goes on""#, true),
        (r#""Password is too weak.""#, false),
    ] {
        let upstream = Upstream::json(200, &format!(r#"{{"Errors": [{errors}], "IsSucceed": false}}"#));
        let error = client(&upstream).redeem_code(&"741175".into()).await.unwrap_err();
        let ErrorKind::Refused(refusal) = error.kind() else { panic!("{error}") };
        assert_eq!(refusal.quotes_app_key(), quotes, "{errors}");
    }
}

#[tokio::test]
async fn anything_else_is_unreadable_and_keeps_status_and_size_only() {
    for (status, body, expected, applied) in [
        (200, "", Unreadable::Empty, true),
        (204, "", Unreadable::Empty, true),
        (400, "<html>Bad Request</html>", Unreadable::NotJson { size: 24 }, false),
        (200, r#"{"Errors": [], "IsSu"#, Unreadable::NotJson { size: 20 }, true),
        (200, r#"{"Errors": "none", "IsSucceed": true}"#, Unreadable::UnknownShape { size: 37 }, true),
        (200, r#"{"IsSucceed": "true"}"#, Unreadable::UnknownShape { size: 21 }, true),
        (200, "[]", Unreadable::UnknownShape { size: 2 }, true),
        (200, r#"{"error": "something else"}"#, Unreadable::UnknownShape { size: 27 }, true),
        (200, r#"{"Errors": ["key canary-key-5c1d"], "IsSucceed": false}"#, Unreadable::EchoesKey, true),
        (200, r#"{"Errors": ["\u0063anary-key-5c1d"], "IsSucceed": false}"#, Unreadable::EchoesKey, true),
        (500, r#"{"message": "Y2FuYXJ5LWtleS01YzFk", "error": "x"}"#, Unreadable::EchoesKey, true),
    ] {
        let upstream = Upstream::json(status, body);
        let error = client(&upstream).redeem_code(&"741175".into()).await.unwrap_err();
        assert_eq!(unreadable(error.kind()), expected, "{status} {body}");
        assert_eq!(error.status(), Some(status));
        assert_eq!(error.may_have_been_applied(), applied, "{status} {body}");
    }
}

/// `{"Model": "token-1", "Errors": [], "IsSucceed": true}`, compressed by another program.
const COMPRESSED: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x02\x03\xab\x56\xf2\xcd\x4f\x49\xcd\x51\xb2\x52\x50\x2a\xc9\xcf\x4e\xcd\xd3\x35\x54\xd2\x51\x50\x72\x2d\x2a\xca\x2f\x2a\x06\x0a\x46\xc7\x02\x79\x9e\xc5\xc1\xa5\xc9\xc9\xa9\xa9\x29\x40\x81\x92\xa2\xd2\xd4\x5a\x00\x60\x6a\xb7\x1c\x35\x00\x00\x00";

/// Ruling 12: harmless bytes around good JSON, and an answer that is compressed although nobody asked for it, void no call.
#[tokio::test]
async fn a_byte_order_mark_and_gzip_are_read() {
    let plain = r#"{"Model": "token-1", "Errors": [], "IsSucceed": true}"#;
    let mark = "\u{feff}";
    let indented = plain.replace("{", "{\n  ").replace(", ", ",\n  ").into_bytes();
    let mut small_window = packed(ZlibEncoder::new(plain.as_bytes(), Compression::best()));
    small_window[..2].copy_from_slice(&[0x68, 0xde]);
    let marked = packed(GzEncoder::new([mark, plain].concat().as_bytes(), Compression::fast()));
    let zlib = packed(ZlibEncoder::new(plain.as_bytes(), Compression::fast()));
    let deflated = packed(DeflateEncoder::new(plain.as_bytes(), Compression::fast()));
    for (headers, body) in [
        (&[("Content-Type", "application/json")][..], [mark, plain].concat().into_bytes()),
        (&[("Content-Type", "text/html")], [mark, " \r\n", plain, "\r\n"].concat().into_bytes()),
        (&[], plain.as_bytes().to_vec()),
        (&[("Content-Encoding", "gzip")], COMPRESSED.to_vec()),
        (&[("Content-Encoding", "GZIP")], COMPRESSED.to_vec()),
        (&[("Content-Encoding", "x-gzip")], COMPRESSED.to_vec()),
        (&[("Content-Encoding", "identity, gzip")], COMPRESSED.to_vec()),
        (&[("Content-Encoding", "gzip")], plain.as_bytes().to_vec()),
        (&[], COMPRESSED.to_vec()),
        (&[], marked),
        (&[("Content-Encoding", "deflate")], zlib),
        (&[("Content-Encoding", "deflate")], deflated.clone()),
        (&[("Content-Encoding", "identity, X-Deflate")], deflated),
        (&[("Content-Encoding", "deflate")], indented.clone()),
        (&[("Content-Encoding", "gzip")], indented),
        // By another program, with a window of 16 KiB.
        (&[], small_window),
        (&[("Content-Encoding", "gzip, gzip")], packed(GzEncoder::new(COMPRESSED, Compression::fast()))),
        (&[("Content-Encoding", "gzip")], [COMPRESSED, b"\0\0\0\0"].concat()),
        (&[], ["\r\n", mark, plain].concat().into_bytes()),
    ] {
        let upstream = Upstream::answering(answer(headers, &body));
        let client = client(&upstream);
        let reset = client.request_reset(&"anna.lee".into(), None).await.map(Answered::into_inner);
        assert!(matches!(reset, Ok(ResetRequested::Accepted(_))), "{headers:?}: {reset:?}");
        let question = client.fetch_question(&"anna.lee".into()).await.unwrap().into_inner();
        assert_eq!(question.unwrap().expose(), "token-1");
        let token = client.redeem_code(&"741175".into()).await.unwrap().into_inner();
        assert_eq!(token.expose(), "token-1");
        client.set_password(&token, &"new-password".into()).await.unwrap();
        assert!(upstream.requests().iter().all(|request| request.contains("accept-encoding: identity")));
    }
    // A second mark is none, and neither brotli nor a packed body without its end can be read.
    for (headers, body) in [
        (&[][..], [mark, mark, plain].concat().into_bytes()),
        (&[("Content-Encoding", "br")], b"\x0b\x02\x80{\"a\":1}\x03".to_vec()),
        (&[("Content-Encoding", "gzip")], COMPRESSED[..40].to_vec()),
    ] {
        let upstream = Upstream::answering(answer(headers, &body));
        let error = client(&upstream).redeem_code(&"741175".into()).await.unwrap_err();
        assert!(error.may_have_been_applied(), "{headers:?}: {error:?}");
    }
}

/// A body in the bytes that an encoder makes of it.
fn packed(mut encoder: impl Read) -> Vec<u8> {
    let mut packed = Vec::new();
    encoder.read_to_end(&mut packed).unwrap();
    packed
}

fn answer(headers: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let head = response(200, headers, "");
    let head = head.replace("Content-Length: 0", &format!("Content-Length: {}", body.len()));
    [head.as_bytes(), body].concat()
}

/// Ten megabytes in ten kilobytes are not unpacked.
#[tokio::test]
async fn a_compressed_answer_has_the_same_cap() {
    for headers in [&[("Content-Encoding", "gzip")][..], &[]] {
        let spaces = packed(GzEncoder::new(&*vec![b' '; 10_000_000], Compression::best()));
        let upstream = Upstream::answering(answer(headers, &spaces));
        let error = client(&upstream).redeem_code(&"741175".into()).await.unwrap_err();
        assert_eq!(unreadable(error.kind()), Unreadable::TooLarge);
    }
}
