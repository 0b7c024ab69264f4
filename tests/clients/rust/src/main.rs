//! A program in a box: one call of async-openai, set up by its environment alone, named by its argument.
//! It prints the text it got.

use async_openai::{
    Client,
    config::OpenAIConfig,
    types::files::{CreateFileRequest, FileInput, FilePurpose},
    types::responses::{CreateResponse, ResponseStreamEvent},
};
use futures::StreamExt;
use serde_json::{Value, json};

type Failure = Box<dyn std::error::Error>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Failure> {
    let call = std::env::args().nth(1).unwrap_or_default();
    let client = Client::new();
    let text = match call.as_str() {
        "stream" => streamed(&client).await?,
        "tools" => called(&client).await?,
        "files" => uploaded(&client).await?,
        _ => {
            let answer = client.responses().create(question(json!({}))?).await?;
            answer.output_text().unwrap_or_default()
        }
    };
    println!("{text}");
    Ok(())
}

fn question(more: Value) -> Result<CreateResponse, Failure> {
    let mut asked = json!({"model": "gpt-5", "input": "say ping"});
    if let (Some(asked), Value::Object(more)) = (asked.as_object_mut(), more) {
        asked.extend(more);
    }
    Ok(serde_json::from_value(asked)?)
}

async fn streamed(client: &Client<OpenAIConfig>) -> Result<String, Failure> {
    let mut events = client.responses().create_stream(question(json!({}))?).await?;
    let mut text = String::new();
    while let Some(event) = events.next().await {
        if let ResponseStreamEvent::ResponseOutputTextDelta(delta) = event? {
            text.push_str(&delta.delta);
        }
    }
    Ok(text)
}

async fn called(client: &Client<OpenAIConfig>) -> Result<String, Failure> {
    let parameters = json!({"type": "object", "properties": {"city": {"type": "string"}}});
    let tool = json!({"type": "function", "name": "weather", "strict": false, "parameters": parameters});
    let answer = client.responses().create(question(json!({"tools": [tool]}))?).await?;
    Ok(serde_json::to_string(&answer.output)?)
}

async fn uploaded(client: &Client<OpenAIConfig>) -> Result<String, Failure> {
    let file = FileInput::from_vec_u8("f.jsonl".into(), vec![b'x'; 100_000]);
    let request = CreateFileRequest { file, purpose: FilePurpose::Batch, ..Default::default() };
    Ok(client.files().create(request).await?.id)
}
