use super::generator::{GeneratorError, TextGenerator, TextRequest, of_query};
use super::recorded::Answers;
use contrarian::InvalidParameter;
use rand::RngExt;
use serde_json::{Value, json};
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A language model behind an endpoint that speaks OpenAI's chat protocol.
#[derive(Debug, Clone, PartialEq)]
pub struct ChatConfig {
    /// The endpoint without `/chat/completions`, `https://host/v1`.
    pub endpoint: String,
    /// The model's name there.
    pub model: String,
    /// Environment variable that holds the key; none for an endpoint without one.
    pub key_variable: Option<String>,
    /// Seconds to wait for an answer, above 0 and at most 86400.
    pub timeout: f64,
    /// How often to ask again after an error that may pass.
    pub retries: usize,
    /// Seconds before the first time of asking again; doubled each time.
    pub backoff: f64,
}

impl ChatConfig {
    /// With the usual patience: a minute, five times again, from a second on.
    pub fn new(endpoint: &str, model: &str) -> Self {
        Self {
            endpoint: endpoint.trim_end_matches('/').into(),
            model: model.into(),
            key_variable: None,
            timeout: 60.0,
            retries: 5,
            backoff: 1.0,
        }
    }

    /// Checks the parameters.
    ///
    /// # Errors
    /// Names the first outside its range.
    pub fn validate(&self) -> Result<(), InvalidParameter> {
        let url = ["http://", "https://"].iter().any(|scheme| self.endpoint.starts_with(scheme));
        if !url {
            return Err(InvalidParameter::new("endpoint", format!("`{}`", self.endpoint), "a URL, https://host/v1"));
        }
        if self.model.is_empty() {
            return Err(InvalidParameter::new("model", "empty", "the name of a model"));
        }
        if !(self.timeout > 0.0 && self.timeout <= LONGEST_TIMEOUT) {
            return Err(InvalidParameter::new("timeout", self.timeout, "above 0 and at most 86400"));
        }
        if !(self.backoff >= 0.0 && self.backoff.is_finite()) {
            return Err(InvalidParameter::new("backoff", self.backoff, "at least 0 and finite"));
        }
        Ok(())
    }
}

/// A day, in seconds.
const LONGEST_TIMEOUT: f64 = 86_400.0;
/// Longest time between two times of asking, in seconds: of our own choice, and where the endpoint says.
const LONGEST_WAIT: f64 = 120.0;
const LONGEST_TOLD_WAIT: f64 = 3600.0;
/// Characters of an error's answer that are shown.
const SHOWN: usize = 200;

/// Writes hard negatives with a language model. Every answer is put into a file at once, so that what has been paid for is never asked
/// for again: a later run with the same file goes on.
///
/// Errors that may pass (no answer in time, 408, 429, 5xx) are met by asking again, each time after twice as long with a random part, or
/// when the endpoint says (`Retry-After`).
#[derive(Debug)]
pub struct ChatGenerator {
    config: ChatConfig,
    key: Option<String>,
    agent: ureq::Agent,
    answers: Mutex<Answers>,
    stop: Arc<AtomicBool>,
}

/// What came of asking once.
enum Outcome {
    Text(String),
    /// Asking again may help, after this long if the endpoint said.
    Passing(String, Option<f64>),
    Final(GeneratorError),
}

impl ChatGenerator {
    /// Opens the file of answers, new or to go on with. Nothing is asked yet.
    ///
    /// # Errors
    /// When a setting is out of range, the variable of the key is not set, or the file cannot be used.
    pub fn open(config: ChatConfig, answers: &Path, stop: Arc<AtomicBool>) -> Result<Self, GeneratorError> {
        config.validate()?;
        let key = match &config.key_variable {
            None => None,
            Some(name) => Some(std::env::var(name).map_err(|_| GeneratorError::Key(name.clone()))?),
        };
        let agent = ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs_f64(config.timeout)))
            .http_status_as_error(false)
            .build()
            .into();
        let answers = Mutex::new(Answers::resume(answers, &config.model)?);
        Ok(Self { config, key, agent, answers, stop })
    }

    fn ask(&self, request: &TextRequest) -> Outcome {
        let query = || request.query_id.clone();
        let body = json!({"model": self.config.model, "messages": [{"role": "user", "content": prompt(request)}]});
        let mut post = self.agent.post(format!("{}/chat/completions", self.config.endpoint));
        if let Some(key) = &self.key {
            post = post.header("Authorization", format!("Bearer {key}"));
        }
        let mut response = match post.send_json(&body) {
            Ok(response) => response,
            Err(error) => return Outcome::Passing(error.to_string(), None),
        };
        let status = response.status().as_u16();
        let after = response.headers().get("retry-after").and_then(|value| value.to_str().ok()?.parse::<f64>().ok());
        // "NaN" and "inf" are numbers to the parser.
        let after = after.filter(|seconds| seconds.is_finite()).map(|seconds| seconds.clamp(0.0, LONGEST_TOLD_WAIT));
        let text = match response.body_mut().read_to_string() {
            Ok(text) => text,
            Err(error) => return Outcome::Passing(error.to_string(), after),
        };
        let shown: String = text.chars().take(SHOWN).collect();
        match status {
            200..=299 => {}
            408 | 429 | 500.. => return Outcome::Passing(format!("the endpoint answers {status}: {shown}"), after),
            _ => {
                let reason = format!("the endpoint answers {status}: {shown}");
                return Outcome::Final(GeneratorError::Failed { query: query(), reason, asked: 1 });
            }
        }
        let answer: Option<String> = serde_json::from_str::<Value>(&text)
            .ok()
            .and_then(|value| Some(value.pointer("/choices/0/message/content")?.as_str()?.trim().to_string()));
        match answer {
            None => Outcome::Final(GeneratorError::Unreadable { query: query(), reason: shown }),
            Some(text) if text.is_empty() => Outcome::Final(GeneratorError::Empty { query: query() }),
            Some(text) => Outcome::Text(text),
        }
    }

    /// Waits, but not beyond the stop.
    fn wait(&self, seconds: f64) {
        let until = Instant::now() + Duration::from_secs_f64(seconds);
        while Instant::now() < until && !self.stop.load(Ordering::Relaxed) {
            std::thread::sleep(Duration::from_millis(20).min(until.saturating_duration_since(Instant::now())));
        }
    }
}

impl TextGenerator for ChatGenerator {
    fn generate(&self, request: &TextRequest) -> Result<String, GeneratorError> {
        let known = self.answers.lock().expect("a writer panicked").get(request)?.map(String::from);
        if let Some(known) = known {
            return Ok(known);
        }
        let query = || request.query_id.clone();
        let rng = &mut of_query(0, &request.query_id);
        let mut wait = self.config.backoff.min(LONGEST_WAIT);
        for asked in 1.. {
            if self.stop.load(Ordering::Relaxed) {
                return Err(GeneratorError::Stopped { query: query() });
            }
            match self.ask(request) {
                Outcome::Text(text) => {
                    self.answers.lock().expect("a writer panicked").add(request, &text, &self.config.model)?;
                    return Ok(text);
                }
                Outcome::Final(error) => return Err(error),
                Outcome::Passing(reason, _) if asked > self.config.retries => {
                    return Err(GeneratorError::Failed { query: query(), reason, asked });
                }
                Outcome::Passing(_, after) => {
                    // A random part, so that many who were turned away do not come back together.
                    self.wait(after.unwrap_or(wait * rng.random_range(0.5..1.5)));
                    wait = (wait * 2.0).min(LONGEST_WAIT);
                }
            }
        }
        unreachable!("asking ends with an answer or an error")
    }
}

/// What the model is asked to write.
fn prompt(request: &TextRequest) -> String {
    let mut text = format!(
        "A search engine is trained to tell passages that answer a query from passages that only look as if they did. Write one short \
         passage that shares the topic and some words of the query below, reads like a document one would find, and does NOT answer it. \
         Give the passage alone.\n\nQuery: {}\n",
        request.query
    );
    if let Some(positive) = &request.positive {
        text.push_str(&format!("\nA passage that answers it, for comparison: {positive}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{BufRead, BufReader, Read, Write};
    use std::net::TcpListener;

    /// A server that gives these answers, one a connection, and says how often it was asked.
    fn server(answers: Vec<String>) -> (String, std::thread::JoinHandle<usize>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}/v1", listener.local_addr().unwrap());
        let serve = move || {
            let (mut asked, mut silent) = (0, Vec::new());
            for answer in answers {
                let (mut stream, _) = listener.accept().unwrap();
                asked += 1;
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut length = 0;
                loop {
                    let mut line = String::new();
                    if reader.read_line(&mut line).unwrap_or(0) <= 2 {
                        break;
                    }
                    if let Some((_, value)) = line.to_lowercase().split_once("content-length:") {
                        length = value.trim().parse().unwrap();
                    }
                }
                let mut body = vec![0; length];
                let _ = reader.read_exact(&mut body);
                let _ = stream.write_all(answer.as_bytes());
                if answer.is_empty() {
                    // Silence, on a connection that stays open.
                    silent.push(stream);
                }
            }
            asked
        };
        (endpoint, std::thread::spawn(serve))
    }

    fn http(status: &str, headers: &str, body: &str) -> String {
        format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n{body}", body.len())
    }

    fn says(text: &str) -> String {
        http("200 OK", "", &json!({"choices": [{"message": {"content": text}}]}).to_string())
    }

    fn request(id: &str) -> TextRequest {
        TextRequest { query_id: id.into(), query: format!("what is {id}"), positive: None }
    }

    fn config(endpoint: &str) -> ChatConfig {
        ChatConfig { timeout: 1.0, retries: 2, backoff: 0.01, ..ChatConfig::new(endpoint, "m") }
    }

    #[test]
    fn passing_errors_are_asked_again_and_nothing_is_paid_twice() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        // A time that is none is not waited for.
        let busy = http("429 Too Many Requests", "Retry-After: NaN\r\n", "slow down");
        let (endpoint, server) = server(vec![busy, String::new(), says(" a passage "), says("another")]);
        let open = || ChatGenerator::open(config(&endpoint), &path, Arc::default()).unwrap();
        let generator = open();
        assert_eq!(generator.generate(&request("a")).unwrap(), "a passage");
        assert_eq!(generator.generate(&request("a")).unwrap(), "a passage");
        drop(generator);
        let again = open();
        assert_eq!(again.generate(&request("a")).unwrap(), "a passage");
        assert_eq!(again.generate(&request("b")).unwrap(), "another");
        assert_eq!(server.join().unwrap(), 4, "asked, turned away, in vain, answered; and once for the other query");
    }

    #[test]
    fn nonsense_refusals_and_endless_trouble_are_errors_of_the_query() {
        let folder = tempfile::tempdir().unwrap();
        let down = || http("503 Service Unavailable", "", "down");
        let answers = vec![
            http("200 OK", "", "<html>"),
            says("  "),
            http("401 Unauthorized", "", "no key"),
            down(),
            down(),
            down(),
        ];
        let (endpoint, server) = server(answers);
        let path = folder.path().join("answers.jsonl");
        let generator = ChatGenerator::open(config(&endpoint), &path, Arc::default()).unwrap();
        let error = |id: &str| generator.generate(&request(id)).unwrap_err().to_string();
        assert!(error("a").contains("query a") && path.exists());
        assert!(error("b").contains("empty"));
        let refused = error("c");
        assert!(refused.contains("401") && refused.contains("no key"), "{refused}");
        let endless = error("d");
        assert!(endless.contains("503") && endless.contains("3 time"), "{endless}");
        assert_eq!(server.join().unwrap(), 6);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "", "an error is no answer");
    }

    #[test]
    fn settings_and_stopping() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("answers.jsonl");
        let open = |config: ChatConfig, stop: bool| ChatGenerator::open(config, &path, Arc::new(AtomicBool::new(stop)));
        let stopped = open(config("http://127.0.0.1:9/v1"), true).unwrap();
        assert!(matches!(stopped.generate(&request("a")), Err(GeneratorError::Stopped { .. })));
        let key = ChatConfig { key_variable: Some("CONTRARIAN_NO_SUCH_KEY".into()), ..config("http://x/v1") };
        assert!(open(key, false).unwrap_err().to_string().contains("CONTRARIAN_NO_SUCH_KEY"));
        assert!(open(config("host"), false).unwrap_err().to_string().contains("endpoint"));
        for timeout in [0.0, f64::NAN, 1e300] {
            assert_eq!(ChatConfig { timeout, ..config("http://x") }.validate().unwrap_err().field, "timeout");
        }
    }
}
