//! How a process ended, as the client is told: a `Status` in JSON, or a text before the fourth version of the protocol.

use bytes::Bytes;
use podo_api::{Reason, Status};
use podo_cri::CriError;

/// How the end is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum StatusForm {
    /// As a `Status`, success as well.
    Json,
    /// As a text, success as none.
    Text,
}

/// The end of a process that was run. `argv` is what was run.
pub(super) fn of_exec(end: Result<i32, CriError>, argv: &[String]) -> Status {
    match end {
        Ok(0) => success(),
        Ok(code) => non_zero(code, argv),
        Err(error) => Status::internal(format!("error executing command in container: {error}")),
    }
}

/// The end of a process that was joined; how it ended is not the client's affair.
pub(super) fn of_attach(end: Result<i32, CriError>) -> Status {
    match end {
        Ok(_) => success(),
        Err(error) => Status::internal(format!("error attaching to container: {error}")),
    }
}

/// The bytes for the client.
pub(super) fn encode(status: &Status, form: StatusForm) -> Bytes {
    match form {
        StatusForm::Text => status.message.clone().into(),
        StatusForm::Json => {
            let mut tree = serde_json::to_value(status).unwrap_or_default();
            // Kubernetes v1.36 writes this Status without saying what it is.
            if let Some(fields) = tree.as_object_mut() {
                fields.remove("kind");
                fields.remove("apiVersion");
            }
            tree.to_string().into()
        }
    }
}

fn success() -> Status {
    Status { status: "Success".to_owned(), code: 0, ..Status::failure(Reason::Unknown, "") }
}

/// Kubernetes v1.36 `remotecommand.ServeExec`, with the error of containerd 2.
fn non_zero(code: i32, argv: &[String]) -> Status {
    let command = argv.join(" ");
    let message = format!(
        "command terminated with non-zero exit code: error executing command [{command}], exit code {code}"
    );
    let status =
        Status::failure(Reason::Unknown, message).with_cause("ExitCode", "", code.to_string());
    Status { reason: "NonZeroExitCode".to_owned(), code: 0, ..status }
}

#[cfg(test)]
mod tests {
    use podo_cri::Code;
    use serde_json::{Value, json};

    use super::*;

    fn tree(status: &Status) -> Value {
        serde_json::from_slice(&encode(status, StatusForm::Json)).expect("JSON")
    }

    #[test]
    fn success_is_told_too() {
        assert_eq!(tree(&of_exec(Ok(0), &[])), json!({"metadata": {}, "status": "Success"}));
        assert_eq!(tree(&of_attach(Ok(3))), json!({"metadata": {}, "status": "Success"}));
        assert_eq!(encode(&of_exec(Ok(0), &[]), StatusForm::Text), "");
    }

    #[test]
    fn an_exit_code_is_a_cause() {
        let status = of_exec(Ok(3), &["sh".to_owned(), "-c".to_owned(), "exit 3".to_owned()]);
        let message = "command terminated with non-zero exit code: error executing command [sh -c exit 3], exit code 3";
        let expected = json!({
            "metadata": {}, "status": "Failure", "reason": "NonZeroExitCode", "message": message,
            "details": {"causes": [{"reason": "ExitCode", "message": "3"}]},
        });
        assert_eq!(tree(&status), expected);
        assert_eq!(encode(&status, StatusForm::Text), message);
    }

    #[test]
    fn a_process_that_could_not_be_run_is_an_internal_error() {
        let status = of_exec(Err(CriError::new(Code::Internal, "no such file")), &[]);
        let cause = "error executing command in container: no such file";
        let expected = json!({
            "metadata": {}, "status": "Failure", "reason": "InternalError", "code": 500,
            "message": format!("Internal error occurred: {cause}"),
            "details": {"causes": [{"message": cause}]},
        });
        assert_eq!(tree(&status), expected);
    }
}
