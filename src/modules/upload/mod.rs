//! XEP-0363: HTTP File Upload. The service `upload.<host>` gives slots; files are uploaded and downloaded by HTTP
//! (`src/http/files/`). `docs/files.md` has the whole.
//!
//! Some applications only know the namespaces from before 2017. They get slots, too.

mod command;
mod housekeeping;
mod request;
mod service;
mod slot;

use std::sync::Arc;

use async_trait::async_trait;

use crate::config::Config;
use crate::host::lifecycle::{Event, EventKind, Listener};
use crate::host::{Cx, Manifest, Module, Registry, ServerState, Status, Xep};
use crate::stanza::StanzaError;
use crate::upload::{Bucket, ContentStore, Directory, Uploads};

/// Gives slots for files.
pub struct Upload;

impl Module for Upload {
    fn manifest(&self) -> &'static Manifest {
        &Manifest {
            name: "upload",
            summary: "Lets users upload files, and give others their addresses",
            xeps: &[Xep { number: 363, version: "1.2.0", status: Status::Complete }],
        }
    }

    fn register(&self, on: &mut Registry) {
        on.listener(EventKind::AccountRemoved, &Self);
    }

    fn configure(&self, config: &Config, on: &mut Registry) {
        let local = Directory::new(config.files_directory());
        let contents: Box<dyn ContentStore> = match Bucket::new(&config.s3, local.clone()) {
            Some(bucket) => Box::new(bucket),
            None => Box::new(local),
        };
        on.shared(Uploads::new(contents));
        if config.files_url(config.default_domain()).is_some() {
            on.service(Arc::new(service::UploadService)).account_command(&command::Files);
        }
    }

    fn start(&self, server: &Arc<ServerState>) {
        if server.config.load().files.enabled {
            drop(server.tasks.spawn("files", housekeeping::run(Arc::clone(server))));
        }
    }
}

#[async_trait]
impl Listener for Upload {
    /// Removes the contents of the files that were removed together with an account.
    async fn on_event(&self, cx: &mut Cx<'_>, _: &Event<'_>) -> Result<(), StanzaError> {
        cx.server.shared::<Uploads>().sweep_soon.notify_one();
        Ok(())
    }
}
