//! What the API is, for programs: `OpenAPI` 3.1.
//!
//! Paths are described beside their handlers. What goes in and out is described by the types
//! themselves, whose schemas are those of job files, too.

use std::sync::OnceLock;

use axum::Json;
use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, SchemaGenerator};
use serde_json::{Map, Value, json};
use utoipa::IntoParams;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::{InfoBuilder, Required};

use super::{Failure, MEDIA_TYPE, change, events, graph, jobs, log, nodes, shell, tasks, waits};
use crate::client::{Explanation, GraphView, JobView, NodeView, TaskView, Toward, Validity};
use crate::job::{JobSpec, Jobs};
use crate::processor::Stream;

/// What the API is.
#[utoipa::path(get, path = "/v1/openapi.json", tag = "about", responses(
    (status = 200, description = "This document.", body = Object)))]
pub async fn serve() -> Json<&'static Value> {
    static DOCUMENT: OnceLock<Value> = OnceLock::new();
    Json(DOCUMENT.get_or_init(document))
}

/// The description of the API in `OpenAPI` 3.1.
#[must_use]
pub fn document() -> Value {
    let (_, mut openapi) = super::routes().split_for_parts();
    openapi.info = InfoBuilder::new()
        .title("dx jobs")
        .version("1")
        .description(Some(
            "Jobs that run and tell the truth. Any node answers, and all answer the same. Times \
             are milliseconds since the Unix epoch. Fields are added, and never change their \
             meaning.",
        ))
        .build();
    let mut document = serde_json::to_value(&openapi).expect("it has text keys only");
    complete(&mut document);
    document["components"] = json!({
        "schemas": schemas(),
        "securitySchemes": { "token": { "type": "http", "scheme": "bearer" } },
    });
    bound(&mut document);
    document["security"] = json!([{ "token": [] }]);
    document
}

/// Says of each number how large it can be: of its format, few programs know.
fn bound(value: &mut Value) {
    match value {
        Value::Object(object) => {
            let most = match object.get("format").and_then(Value::as_str) {
                Some("uint32") => Some(u64::from(u32::MAX)),
                Some("uint64") => Some(u64::MAX),
                Some("int32") => Some(u64::from(i32::MAX.unsigned_abs())),
                _ => None,
            };
            if let Some(most) = most {
                object.entry("maximum").or_insert(json!(most));
            }
            if object.get("format").is_some_and(|format| format == "int32") {
                object.entry("minimum").or_insert(json!(i32::MIN));
            }
            object.values_mut().for_each(bound);
        }
        Value::Array(values) => values.iter_mut().for_each(bound),
        _ => {}
    }
}

/// Says of each operation what its failures look like, and whether it needs a body.
fn complete(document: &mut Value) {
    let schema = json!({ "$ref": "#/components/schemas/Failure" });
    let content = json!({ MEDIA_TYPE: { "schema": schema } });
    let paths = document["paths"].as_object_mut().expect("there are paths");
    for operation in paths.values_mut().flat_map(|path| path.as_object_mut().into_iter().flatten())
    {
        // What a node is drained for need not be said; all other bodies are the request.
        if let Some(body) = operation.1.get_mut("requestBody") {
            let is_optional = body.to_string().contains("DrainNode");
            body["required"] = json!(!is_optional);
        }
        let responses = operation.1["responses"].as_object_mut().expect("each has responses");
        for (status, whose) in [("4XX", "the request's"), ("5XX", "the cluster's")] {
            let description = format!("It is not done, and that is {whose} fault.");
            let response = json!({ "description": description, "content": content });
            responses.insert(status.to_owned(), response);
        }
    }
}

/// The schemas of all that goes in and out.
fn schemas() -> Map<String, Value> {
    let mut generator = generator();
    macro_rules! describe {
        ($($type:ty),* $(,)?) => { $(generator.subschema_for::<$type>();)* };
    }
    describe!(
        JobSpec,
        Jobs,
        GraphView,
        Toward,
        JobView,
        TaskView,
        NodeView,
        Validity,
        Explanation,
        Failure,
        jobs::Submitted,
        graph::AllSubmitted,
        jobs::JobPage,
        tasks::TaskPage,
        nodes::Nodes,
        nodes::DrainNode,
        change::CancelTasks,
        change::RetryTasks,
        change::SelectTasks,
        change::PrioritizeJobs,
        change::RemoveJobs,
        change::Changed,
        waits::WaitForJobs,
        waits::WaitStands,
        shell::NewJob,
        shell::Status,
        shell::Statuses,
        shell::NodeList,
        shell::NodeJobs,
        Stream,
    );
    generator.take_definitions(true)
}

fn generator() -> SchemaGenerator {
    SchemaSettings::draft2020_12()
        .with(|settings| settings.definitions_path = "/components/schemas".into())
        .into_generator()
}

/// The keys of a query, from the type that it is read as.
fn keys<T: JsonSchema>() -> Vec<Parameter> {
    let mut generator = generator();
    generator.subschema_for::<T>();
    let name = T::schema_name();
    let described = generator.take_definitions(true).remove(&*name).unwrap_or_default();
    let keys = described["properties"].as_object().cloned().unwrap_or_default();
    keys.into_iter().map(|(name, schema)| key(name, schema)).collect()
}

fn key(name: String, mut schema: Value) -> Parameter {
    forget_null(&mut schema);
    let description = schema.as_object_mut().and_then(|schema| schema.remove("description"));
    let description = description.and_then(|text| text.as_str().map(str::to_owned));
    ParameterBuilder::new()
        .name(name)
        .parameter_in(ParameterIn::Query)
        .required(Required::False)
        .description(description)
        .schema(
            serde_json::from_value::<utoipa::openapi::RefOr<utoipa::openapi::Schema>>(schema).ok(),
        )
        .build()
}

/// A key of a query is there or not; it is never null.
fn forget_null(schema: &mut Value) {
    if let Some(types) = schema.get_mut("type").and_then(Value::as_array_mut) {
        types.retain(|kind| kind != "null");
        if let [kind] = types.as_slice() {
            schema["type"] = kind.clone();
        }
    }
    let any = schema.get_mut("anyOf").and_then(Value::as_array_mut);
    let some = any.and_then(|any| any.iter().find(|of| of["type"] != "null").cloned());
    if let (Some(some), Some(schema)) = (some, schema.as_object_mut()) {
        schema.remove("anyOf");
        schema.extend(some.as_object().cloned().unwrap_or_default());
    }
    if let Some(schema) = schema.as_object_mut() {
        schema.retain(|key, value| !(key == "default" && value.is_null()));
    }
}

macro_rules! queries {
    ($($type:ty),* $(,)?) => {
        $(impl IntoParams for $type {
            fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
                keys::<$type>()
            }
        })*
    };
}

queries!(
    jobs::Submission,
    jobs::Listing,
    graph::Walk,
    jobs::Polling,
    waits::Patience,
    tasks::TaskListing,
    events::Since,
    log::Reading,
    shell::Listed,
    shell::Update,
    shell::Running,
    shell::OnNode
);
