//! A function's program under the emulator of Lambda's runtime, with the environment that the template gives it.

use std::net::TcpListener;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use evenstock_runtime::Environment;
use serde_json::Value;
use serde_yaml_ng::Value as Yaml;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::time::sleep;

use crate::cloud::Cloud;
use crate::yaml::{Target, Template, read};

/// Values of parameters that have no default, and of some that allow more than their defaults do.
const PARAMETERS: [(&str, &str); 3] =
    [("MarketplaceASecret", "secret"), ("BusEvents", "*"), ("AllowPrivateCallbacks", "true")];

/// Stands for every secret that the template makes.
const SECRET: &str = "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";

/// A program that waits for events. Dropped, it is killed.
pub(crate) struct Program {
    _emulator: Child,
    address: String,
    client: reqwest::Client,
}

impl Program {
    pub(crate) async fn start(template: &Template, function: &str, cloud: &Cloud) -> Self {
        let variables = Environment::of_process();
        let emulator = variables.required("LAMBDA_RIE").expect("it names the emulator; use `make lambda-test`");
        let [invoke, runtime] = two_free_addresses();
        let resource = template.resource(function);
        let mut command = Command::new(emulator);
        // Without both addresses it would listen on all interfaces.
        command.args(["--runtime-interface-emulator-address", &invoke, "--runtime-api-address", &runtime]);
        command.args(["--log-level", "error"]).arg(program_of(resource));
        command.env_clear().envs(environment(template, resource, cloud));
        command.env("AWS_LAMBDA_FUNCTION_TIMEOUT", template.timeout_of(resource).to_string());
        command.env("AWS_REGION", "eu-central-1").env("AWS_ENDPOINT_URL", &cloud.endpoint);
        command.env("AWS_ACCESS_KEY_ID", function).env("AWS_SECRET_ACCESS_KEY", "test");
        command.kill_on_drop(true).stdin(Stdio::null()).stdout(Stdio::null());
        let emulator = command.spawn().unwrap();
        for _ in 0..200 {
            if TcpStream::connect(&invoke).await.is_ok() {
                break;
            }
            sleep(Duration::from_millis(10)).await;
        }
        let client = reqwest::Client::builder().no_proxy().timeout(Duration::from_secs(90)).build().unwrap();
        Self { _emulator: emulator, address: invoke, client }
    }

    /// What the function answers to an event.
    pub(crate) async fn invoke(&self, event: &Value) -> Value {
        let url = format!("http://{}/2015-03-31/functions/function/invocations", self.address);
        let answer = self.client.post(url).json(event).send().await.unwrap();
        let text = answer.text().await.unwrap();
        serde_json::from_str(&text).unwrap_or(Value::String(text))
    }
}

/// The program that was built with these tests, in the same profile.
fn program_of(function: &Yaml) -> PathBuf {
    let folder = PathBuf::from(env!("CARGO_BIN_EXE_evenstock-under-test")).parent().unwrap().to_owned();
    let program = folder.join(function["Metadata"]["BuildProperties"]["Binary"].as_str().unwrap());
    assert!(program.is_file(), "{} was not built; use `make lambda-test`", program.display());
    program
}

fn two_free_addresses() -> [String; 2] {
    let listeners = [TcpListener::bind("127.0.0.1:0").unwrap(), TcpListener::bind("127.0.0.1:0").unwrap()];
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
}

/// The variables that the template sets for a function, as a deployment would.
fn environment(template: &Template, function: &Yaml, cloud: &Cloud) -> Vec<(String, String)> {
    let variables = function["Properties"]["Environment"]["Variables"].as_mapping();
    let shared = template.globals()["Environment"]["Variables"].as_mapping();
    let parameters = &read("template.yaml")["Parameters"];
    let all = shared.into_iter().flatten().chain(variables.into_iter().flatten());
    // What is set only when a parameter is given is not: none of those is given here.
    let all = all.filter(|(_, value)| !matches!(value, Yaml::Tagged(tagged) if tagged.tag == "!If"));
    all.map(|(name, value)| {
        let name = name.as_str().unwrap();
        let value = resolved(template, parameters, value, cloud).unwrap_or_else(|| panic!("{name}: {value:?}"));
        (name.to_owned(), value)
    })
    .collect()
}

fn resolved(template: &Template, parameters: &Yaml, value: &Yaml, cloud: &Cloud) -> Option<String> {
    let Yaml::Tagged(tagged) = value else {
        return plain(value);
    };
    let name = value.target();
    match tagged.tag.to_string().as_str() {
        "!Ref" if !parameters[&name].is_null() => {
            let given = PARAMETERS.iter().find(|(parameter, _)| *parameter == name);
            given.map(|(_, value)| (*value).to_owned()).or_else(|| plain(&parameters[&name]["Default"]))
        }
        "!Ref" => match template.resource(&name)["Type"].as_str()? {
            "AWS::DynamoDB::Table" => Some(cloud.table.clone()),
            "AWS::SQS::Queue" => Some(format!("{}/000000000000/{name}", cloud.endpoint)),
            // Its name.
            "AWS::Events::EventBus" => Some(name),
            _ => None,
        },
        "!GetAtt" => tagged.value.as_str()?.ends_with(".Arn").then(|| format!("arn:aws:local:::{name}")),
        "!Sub" if tagged.value.as_str()?.starts_with("{{resolve:secretsmanager:") => Some(SECRET.to_owned()),
        _ => None,
    }
}

fn plain(value: &Yaml) -> Option<String> {
    match value {
        Yaml::String(text) => Some(text.clone()),
        Yaml::Number(number) => Some(number.to_string()),
        Yaml::Bool(flag) => Some(flag.to_string()),
        _ => None,
    }
}
