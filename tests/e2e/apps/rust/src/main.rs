//! The application of the other folders, in Rust, and the Rust client beside it.
//!
//! ```text
//! app worker URL
//! app enqueue URL < one JSON object a line: queue, workflow, args, and the options of an enqueue
//! app result URL ID
//! ```
//!
//! `dbos` 0.5.0 has no portable format: it takes a workflow's whole input as its one argument. So a
//! workflow that is to be enqueued from elsewhere takes the envelope of `portable_json` itself.

use std::io::BufRead;
use std::sync::OnceLock;
use std::time::Duration;

use dbos::sysdb::types::WorkflowFilter;
use dbos::{
    Client, ClientConfig, Config, DBOS, Enqueue, EnqueueOptions, QueueConflict, QueueOptions, RateLimit,
    WorkflowHandle, WorkflowKey,
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Portable<T> {
    positional_args: T,
    #[serde(default)]
    named_args: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Order {
    name: String,
    times: i64,
}

#[derive(Serialize, Deserialize)]
struct Greeting {
    greeting: String,
    times: i64,
}

#[derive(Debug, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
struct Failure {
    message: String,
}

static APP: OnceLock<DBOS> = OnceLock::new();

async fn greet(given: Portable<(Order,)>) -> dbos::Result<Greeting> {
    let (order,) = given.positional_args;
    Ok(Greeting { greeting: format!("hello {}", order.name), times: order.times + 1 })
}

async fn echo(given: Portable<(Value,)>) -> dbos::Result<Value> {
    Ok(given.positional_args.0)
}

async fn pair(given: Portable<(Value, Value)>) -> dbos::Result<Portable<(Value, Value)>> {
    Ok(given)
}

async fn when(given: Portable<(String,)>) -> dbos::Result<String> {
    Ok(format!("String {}", given.positional_args.0))
}

async fn identity(_: Portable<[Value; 0]>) -> dbos::Result<Value> {
    // the SDK tells a workflow its id only; the rest is in its row
    let id = dbos::workflow_id().expect("inside a workflow");
    let rows: Vec<Value> = APP
        .get()
        .expect("launched")
        .list_workflows(&WorkflowFilter { workflow_ids: vec![&id], ..Default::default() })
        .await?
        .iter()
        .map(|row| serde_json::json!({"user": row.authenticated_user, "roles": row.authenticated_roles}))
        .collect();
    Ok(rows[0].clone())
}

async fn fail(given: Portable<(String,)>) -> dbos::Result<String, Failure> {
    Err(dbos::Error::Application(Failure { message: given.positional_args.0 }))
}

async fn slow(given: Portable<(f64,)>) -> dbos::Result<String> {
    for _ in 0..(given.positional_args.0 * 10.0) as u32 {
        dbos::sleep(Duration::from_millis(100)).await?;
    }
    Ok("done".to_owned())
}

async fn restock(given: Portable<(String,)>) -> dbos::Result<String> {
    Ok(format!("berlin: {}", given.positional_args.0))
}

async fn worker(url: &str) -> dbos::Result<()> {
    let app = DBOS::new(Config {
        app_version: Some("v1".to_owned()),
        schema: std::env::var("APP_SCHEMA").unwrap_or_else(|_| "dbos".to_owned()),
        use_listen_notify: false,
        ..Config::new("sdks", url)
    });
    app.register_workflow("greet", greet)?;
    app.register_workflow("echo", echo)?;
    app.register_workflow("pair", pair)?;
    app.register_workflow("when", when)?;
    app.register_workflow("identity", identity)?;
    app.register_workflow("fail", fail)?;
    app.register_workflow("slow", slow)?;
    app.register_workflow_as(WorkflowKey::instance("restock", "Warehouse", "berlin"), restock)?;
    app.launch().await?;
    APP.set(app.clone()).ok();
    let quick = QueueOptions { polling_interval: Duration::from_millis(50), ..Default::default() };
    let limit = RateLimit { limit: 2, period: Duration::from_secs(1) };
    for (name, options) in [
        ("plain", quick.clone()),
        ("serial", QueueOptions { concurrency: Some(1), priority_enabled: true, ..quick.clone() }),
        ("partitioned", QueueOptions { partition_concurrency: Some(1), ..quick.clone() }),
        ("limited", QueueOptions { rate_limit: Some(limit), ..quick }),
    ] {
        app.register_queue(name, options, QueueConflict::AlwaysUpdate).await?;
    }
    println!("ready");
    tokio::signal::ctrl_c().await.ok();
    Ok(())
}

#[derive(Deserialize)]
struct Enqueued {
    queue: String,
    workflow: String,
    #[serde(default)]
    args: Vec<Value>,
    id: String,
    deduplication_id: Option<String>,
    priority: Option<u32>,
    timeout_ms: Option<u64>,
    delay_ms: Option<u64>,
    queue_partition_key: Option<String>,
    application_version: Option<String>,
    application: Option<String>,
    class_name: Option<String>,
    instance_name: Option<String>,
    attributes: Option<Map<String, Value>>,
}

async fn enqueue(client: &Client, one: Enqueued) -> dbos::Result<()> {
    let options = EnqueueOptions {
        workflow_id: Some(&one.id),
        class_name: one.class_name.as_deref(),
        config_name: one.instance_name.as_deref(),
        app_name: one.application.as_deref(),
        app_version: one.application_version.as_deref(),
        timeout: one.timeout_ms.map(Duration::from_millis),
        attributes: one.attributes.as_ref(),
        ..EnqueueOptions::on(Enqueue {
            deduplication_id: one.deduplication_id.as_deref(),
            priority: one.priority,
            partition_key: one.queue_partition_key.as_deref(),
            delay: one.delay_ms.map(Duration::from_millis),
            ..Enqueue::new(&one.queue)
        })
    };
    let input = Portable { positional_args: one.args, named_args: Map::new() };
    let _: WorkflowHandle<Value> = client.enqueue_with(&one.workflow, input, options).await?;
    Ok(())
}

async fn result<T: DeserializeOwned>(client: &Client, id: &str) -> dbos::Result<T> {
    client.retrieve_workflow::<T, dbos::EngineOnly>(id).result().await
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let words: Vec<String> = std::env::args().collect();
    let (mode, url) = (words[1].as_str(), words[2].as_str());
    if mode == "worker" {
        return Ok(worker(url).await?);
    }
    let client = Client::connect(ClientConfig { use_listen_notify: false, ..ClientConfig::new(url) }).await?;
    if mode == "result" {
        println!("{}", result::<Value>(&client, &words[3]).await?);
        return Ok(());
    }
    for line in std::io::stdin().lock().lines() {
        enqueue(&client, serde_json::from_str(&line?)?).await?;
    }
    Ok(())
}
