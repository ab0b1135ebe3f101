//! Traces, to an OpenTelemetry collector.
//!
//! INVARIANT: nothing here makes a decision wait. A span that ends is put into a bounded queue or
//! dropped and counted; one task hands the queue on.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use crmgate_connector::Secret;
use crmgate_connector::secret::ExposeSecret as _;
use crmgate_outbound::{Client, Settings};
use crmgate_telemetry::{SPANS, trace};
use http::{HeaderName, HeaderValue, Request, Response};
use metrics::{Counter, Gauge, Unit, counter, describe_counter, describe_gauge, gauge};
use opentelemetry::Context;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_http::{HttpClient, HttpError};
use opentelemetry_otlp::{Protocol, SpanExporter, WithExportConfig as _, WithHttpConfig as _};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    Sampler, SdkTracerProvider, Span, SpanData, SpanExporter as _, SpanProcessor,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use tracing::Subscriber;
use tracing_subscriber::Layer;
use tracing_subscriber::filter::{FilterFn, LevelFilter};
use tracing_subscriber::registry::LookupSpan;

use crate::config::{Telemetry, Upstream};

/// How many spans go in one call.
const MOST_TOGETHER: usize = 512;
/// How long the first of them may wait for more.
const LINGER: Duration = Duration::from_millis(500);
/// The longest answer that is read.
const MOST_ANSWER: usize = 1 << 20;
/// How long the last spans may take at the end.
const LAST_CALL: Duration = Duration::from_secs(5);

/// Traces that leave the process.
pub(crate) struct Traces {
    provider: SdkTracerProvider,
    pump: JoinHandle<()>,
    stop: CancellationToken,
}

impl Traces {
    /// Starts to hand spans on, where the configuration says where to.
    ///
    /// # Errors
    /// When the way to the collector cannot be made.
    pub(crate) fn start(
        telemetry: &Telemetry,
        upstream: &Upstream,
    ) -> anyhow::Result<Option<Self>> {
        let Some(endpoint) = &telemetry.endpoint else {
            return Ok(None);
        };
        let door = Door {
            client: Client::new(Settings {
                timeout: telemetry.timeout,
                connect_timeout: upstream.0.connect_timeout.min(telemetry.timeout / 2),
                ..upstream.0.clone()
            })?,
            headers: telemetry.headers.clone(),
        };
        let resource = Resource::builder_empty()
            .with_service_name(telemetry.service_name.clone())
            .with_attribute(opentelemetry::KeyValue::new(
                "service.version",
                env!("CARGO_PKG_VERSION"),
            ))
            .build();
        let mut exporter = SpanExporter::builder()
            .with_http()
            .with_http_client(door)
            .with_protocol(Protocol::HttpBinary)
            .with_endpoint(endpoint.as_str())
            .with_timeout(telemetry.timeout)
            .build()?;
        exporter.set_resource(&resource);
        let (to, from) = mpsc::channel(telemetry.queue);
        let meters = Meters::new();
        let queue = Queue {
            to,
            meters: meters.clone(),
        };
        let stop = CancellationToken::new();
        let pump = Pump {
            from,
            exporter,
            meters,
            timeout: telemetry.timeout,
            // What is taken together waits, too: it counts against the setting.
            most: MOST_TOGETHER.min(telemetry.queue),
            failing: false,
        };
        let provider = SdkTracerProvider::builder()
            .with_resource(resource)
            .with_sampler(Sampler::ParentBased(Box::new(Sampler::TraceIdRatioBased(
                telemetry.sample,
            ))))
            .with_span_processor(queue)
            .build();
        trace::exported(telemetry.follow_callers);
        Ok(Some(Self {
            provider,
            pump: tokio::spawn(pump.run(stop.clone())),
            stop,
        }))
    }

    /// What makes spans of the log's own ones.
    pub(crate) fn layer<S>(&self) -> Box<dyn Layer<S> + Send + Sync>
    where
        S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync,
    {
        tracing_opentelemetry::layer()
            .with_tracer(self.provider.tracer("crmgate"))
            .with_location(false)
            .with_threads(false)
            .with_target(false)
            .with_tracked_inactivity(false)
            .with_filter(
                FilterFn::new(|about| about.is_span() && about.target() == SPANS)
                    // What is finer stays switched off everywhere.
                    .with_max_level_hint(LevelFilter::DEBUG),
            )
            .boxed()
    }

    /// Hands the last spans on.
    pub(crate) async fn shut_down(self) {
        self.stop.cancel();
        if tokio::time::timeout(LAST_CALL, self.pump).await.is_err() {
            tracing::warn!("the last traces could not be handed on in time");
        }
    }
}

/// What is counted of spans.
#[derive(Debug, Clone)]
struct Meters {
    exported: Counter,
    dropped: Counter,
    failed: Counter,
    waiting: Gauge,
}

impl Meters {
    fn new() -> Self {
        describe();
        let spans = |result| counter!("crmgate_trace_spans_total", "result" => result);
        Self {
            exported: spans("exported"),
            dropped: spans("dropped"),
            failed: spans("failed"),
            waiting: gauge!("crmgate_trace_queue"),
        }
    }
}

/// Tells what the numbers are, and begins at nothing, also where no trace leaves.
pub(crate) fn describe() {
    describe_counter!(
        "crmgate_trace_spans_total",
        Unit::Count,
        "Spans by what became of them: exported; dropped, because the queue was full; failed, because the collector did not take them."
    );
    describe_gauge!(
        "crmgate_trace_queue",
        Unit::Count,
        "Spans that wait for the collector."
    );
    for result in ["exported", "dropped", "failed"] {
        counter!("crmgate_trace_spans_total", "result" => result).increment(0);
    }
    gauge!("crmgate_trace_queue").increment(0);
}

/// The queue's near end.
#[derive(Debug)]
struct Queue {
    to: mpsc::Sender<SpanData>,
    meters: Meters,
}

impl SpanProcessor for Queue {
    fn on_start(&self, _: &mut Span, _: &Context) {}

    fn on_end(&self, span: SpanData) {
        match self.to.try_send(span) {
            Ok(()) => self.meters.waiting.increment(1),
            Err(_) => self.meters.dropped.increment(1),
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        Ok(())
    }

    fn shutdown_with_timeout(&self, _: Duration) -> OTelSdkResult {
        Ok(())
    }
}

/// Hands the queue on.
struct Pump {
    from: mpsc::Receiver<SpanData>,
    exporter: SpanExporter,
    meters: Meters,
    timeout: Duration,
    /// How many spans go together.
    most: usize,
    /// Whether the last call failed: said once, not at every call.
    failing: bool,
}

impl Pump {
    async fn run(mut self, stop: CancellationToken) {
        loop {
            let mut spans = Vec::with_capacity(self.most);
            tokio::select! {
                () = self.gather(&mut spans) => {}
                () = stop.cancelled(), if !self.from.is_closed() => self.from.close(),
            }
            if spans.is_empty() && self.from.is_closed() && self.from.is_empty() {
                return;
            }
            if !spans.is_empty() {
                self.hand_on(spans).await;
            }
        }
    }

    /// Takes what waits, and a little more.
    async fn gather(&mut self, spans: &mut Vec<SpanData>) {
        if self.from.recv_many(spans, self.most).await == 0 {
            return;
        }
        let until = Instant::now() + LINGER;
        while spans.len() < self.most {
            let room = self.most - spans.len();
            match tokio::time::timeout_at(until, self.from.recv_many(spans, room)).await {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
        }
    }

    async fn hand_on(&mut self, spans: Vec<SpanData>) {
        let count = u32::try_from(spans.len()).unwrap_or(u32::MAX);
        self.meters.waiting.decrement(count);
        let exporting = tokio::time::timeout(self.timeout, self.exporter.export(spans));
        let problem = match exporting.await {
            Ok(Ok(())) => None,
            Ok(Err(error)) => Some(error.to_string()),
            Err(_) => Some(format!("no answer within {:?}", self.timeout)),
        };
        let counter = match problem {
            None => &self.meters.exported,
            Some(_) => &self.meters.failed,
        };
        counter.increment(count.into());
        match (problem, self.failing) {
            (Some(problem), false) => {
                tracing::warn!(problem, "traces do not reach the collector; they are lost");
                self.failing = true;
            }
            (None, true) => {
                tracing::info!("traces reach the collector again");
                self.failing = false;
            }
            _ => {}
        }
    }
}

/// The exporter's way out: through the one HTTP client, with headers that hold secrets.
struct Door {
    client: Client,
    headers: Vec<(HeaderName, Secret)>,
}

impl std::fmt::Debug for Door {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Door")
    }
}

#[async_trait]
impl HttpClient for Door {
    async fn send_bytes(&self, mut request: Request<Bytes>) -> Result<Response<Bytes>, HttpError> {
        for (name, secret) in &self.headers {
            let mut value = HeaderValue::from_str(secret.get()?.expose_secret())?;
            value.set_sensitive(true);
            request.headers_mut().insert(name, value);
        }
        Ok(self.client.execute_bytes(request, MOST_ANSWER).await?)
    }
}
