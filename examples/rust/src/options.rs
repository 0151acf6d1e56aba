use lexopt::prelude::*;

use crate::error::Error;

pub const USAGE: &str = "usage: clearway-worker --address HOST:PORT [options]

  --flow NAME            the flow's name (default: rust-worker)
  --tag TAG              a tag of its tasks; may be given several times
  --tasks N              how many runs of the task 'work' (default: 3; at most 10000)
  --milliseconds M       how long each takes (default: 10)
  --retries N            how often a failed run is tried again (default: 2)
  --retry-delay-ms M     how long it waits before that (default: 100)
  --fail-attempts N      lets the first N attempts of each run fail (default: 0)
  --result-bytes N       fills each result up to about this size (default: 0; at most 65000)
  --normalise TEXT       runs the cached task 'normalise' on a text, too; may be given several times
  --key-of JSON          prints the cache key of {\"task_key\": ..., \"arguments\": {...}}, and runs nothing
  --help                 shows this";

/// The options of the command line.
#[derive(Clone)]
pub struct Options {
    pub address: String,
    pub flow: String,
    pub tags: Vec<String>,
    pub tasks: u32,
    pub milliseconds: u32,
    pub retries: u32,
    pub retry_delay_ms: u32,
    pub fail_attempts: u32,
    pub result_bytes: u32,
    pub texts: Vec<String>,
}

/// What is asked for.
pub enum Request {
    Work(Options),
    KeyOf(String),
    Help,
}

/// Reads the command line.
pub fn parse() -> Result<Request, Error> {
    let mut options = Options {
        address: String::new(),
        flow: "rust-worker".to_owned(),
        tags: Vec::new(),
        tasks: 3,
        milliseconds: 10,
        retries: 2,
        retry_delay_ms: 100,
        fail_attempts: 0,
        result_bytes: 0,
        texts: Vec::new(),
    };
    let wrong = |error: lexopt::Error| Error::Usage(error.to_string());
    let mut parser = lexopt::Parser::from_env();
    while let Some(argument) = parser.next().map_err(wrong)? {
        let Long(name) = argument else {
            return Err(wrong(argument.unexpected()));
        };
        let name = name.to_owned();
        if name == "help" {
            return Ok(Request::Help);
        }
        let known = ["address", "flow", "tag", "normalise", "key-of"];
        if !known.contains(&name.as_str()) && bound(&name).is_none() {
            return Err(wrong(Long(&name).unexpected()));
        }
        let value = parser.value().and_then(|value| value.string()).map_err(wrong)?;
        match name.as_str() {
            "address" => options.address = value,
            "flow" => options.flow = value,
            "tag" => options.tags.push(value),
            "normalise" => options.texts.push(value),
            "key-of" => return Ok(Request::KeyOf(value)),
            "tasks" => options.tasks = whole(&name, &value)?,
            "milliseconds" => options.milliseconds = whole(&name, &value)?,
            "retries" => options.retries = whole(&name, &value)?,
            "retry-delay-ms" => options.retry_delay_ms = whole(&name, &value)?,
            "fail-attempts" => options.fail_attempts = whole(&name, &value)?,
            _ => options.result_bytes = whole(&name, &value)?,
        }
    }
    if options.address.is_empty() {
        return Err(Error::Usage("--address is missing; it must be HOST:PORT".to_owned()));
    }
    match options.address.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => Ok(Request::Work(options)),
        _ => Err(Error::Usage(format!("--address is '{}'; it must be HOST:PORT", options.address))),
    }
}

fn bound(name: &str) -> Option<u32> {
    match name {
        "tasks" | "retries" | "fail-attempts" => Some(10_000),
        "milliseconds" | "retry-delay-ms" => Some(3_600_000),
        "result-bytes" => Some(65_000),
        _ => None,
    }
}

fn whole(name: &str, value: &str) -> Result<u32, Error> {
    let most = bound(name).unwrap_or_default();
    match value.parse() {
        Ok(number) if number <= most => Ok(number),
        _ => Err(Error::Usage(format!("--{name} is '{value}'; it must be a whole number from 0 to {most}"))),
    }
}
