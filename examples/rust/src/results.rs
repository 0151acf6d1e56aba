use std::io::Read;

use flate2::read::GzDecoder;
use serde_json::Value;

use crate::cache_key::sha256;
use crate::error::Error;
use crate::v1::{data::Body, Data};

const MAX_INLINE_BYTES: usize = 65_536;

/// Returns a result as JSON, which all languages can read.
pub fn write(result: &Value) -> Result<Data, Error> {
    let json = result.to_string().into_bytes();
    if json.len() > MAX_INLINE_BYTES {
        return Err(Error::Other(format!(
            "the result has {} bytes; this client keeps at most {MAX_INLINE_BYTES}",
            json.len()
        )));
    }
    Ok(Data {
        encoding: "json".to_owned(),
        size_bytes: json.len() as i64,
        sha256: sha256(&json),
        body: Some(Body::Inline(json)),
        ..Data::default()
    })
}

/// Returns a result that another client may have written.
pub fn read(data: Option<&Data>) -> Result<Value, Error> {
    let data = data.ok_or_else(|| Error::Other("the state has no result".to_owned()))?;
    let bytes = match &data.body {
        Some(Body::Location(place)) => {
            let message = format!("the result is kept at {place}; this client reads only what is in the state");
            return Err(Error::Other(message));
        }
        Some(Body::Inline(bytes)) if data.encoding == "json" => bytes,
        _ => {
            let message = format!("the result is encoded as '{}'; this client reads only 'json'", data.encoding);
            return Err(Error::Other(message));
        }
    };
    let broken = |error: &dyn std::error::Error| Error::Other(format!("the result is not what its state says: {error}"));
    match data.compression.as_str() {
        "" => serde_json::from_slice(bytes).map_err(|error| broken(&error)),
        "gzip" => {
            let mut json = Vec::new();
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut json).map_err(|error| broken(&error))?;
            serde_json::from_slice(&json).map_err(|error| broken(&error))
        }
        other => Err(Error::Other(format!(
            "the result is compressed by '{other}'; this client knows only 'gzip'"
        ))),
    }
}
