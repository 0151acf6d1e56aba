use serde_json::{json, Map, Number, Value};
use sha2::{Digest, Sha256};

use crate::error::Error;

const LARGEST_EXACT: u64 = (1 << 53) - 1;

/// Returns the cache key that Python's `clearway.hashing.input_key` makes from the same inputs; see docs/cache-keys.md.
///
/// `task_key` is the task's key, the same in all languages that share the result.
pub fn input_key(task_key: &str, arguments: &Map<String, Value>) -> Result<String, Error> {
    Ok(sha256(canonical(task_key, arguments)?.as_bytes()))
}

/// Returns the text that `input_key` hashes.
pub fn canonical(task_key: &str, arguments: &Map<String, Value>) -> Result<String, Error> {
    // Sources differ between languages, so the function is left out.
    let whole = json!({"arguments": shared_object(arguments)?, "function": "", "task_key": task_key});
    serde_json_canonicalizer::to_string(&whole).map_err(|error| Error::Other(error.to_string()))
}

/// Returns the bytes' SHA-256 in hexadecimal digits.
pub fn sha256(bytes: &[u8]) -> String {
    format!("{:x}", Sha256::digest(bytes))
}

/// Returns a value in the form that it has in keys; see the table in docs/cache-keys.md.
fn shared(value: &Value) -> Result<Value, Error> {
    match value {
        Value::Number(number) => shared_number(number),
        Value::Array(items) => items.iter().map(shared).collect(),
        Value::Object(object) => shared_object(object),
        other => Ok(other.clone()),
    }
}

fn shared_object(object: &Map<String, Value>) -> Result<Value, Error> {
    let mut copy = Map::new();
    for (key, value) in object {
        if key.starts_with('$') {
            let message = "keys that begin with $ stand for what JSON does not have";
            return Err(Error::Other(message.to_owned()));
        }
        copy.insert(key.clone(), shared(value)?);
    }
    Ok(Value::Object(copy))
}

fn shared_number(number: &Number) -> Result<Value, Error> {
    if number.as_f64().is_some_and(|float| number.is_f64() && float.fract() == 0.0) {
        let message = format!("{number} has no fraction; give a whole number, which all languages have");
        return Err(Error::Other(message));
    }
    let beyond = match (number.as_u64(), number.as_i64()) {
        (Some(whole), _) => whole > LARGEST_EXACT,
        (None, Some(whole)) => whole.unsigned_abs() > LARGEST_EXACT,
        (None, None) => false,
    };
    Ok(if beyond {
        json!({"$int": number.to_string()})
    } else {
        Value::Number(number.clone())
    })
}
