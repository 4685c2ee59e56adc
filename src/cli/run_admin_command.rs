//! Runs a command of the administrator: in the server if it answers, otherwise in this process, on the data
//! directory.

use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;

use super::exit::{Exit, Problem};
use super::instance::Place;
use super::prompt;
use crate::admin::{self, Answer, Code, Request, socket};
use crate::auth::Derivations;
use crate::clock::Clock;
use crate::config::{Backend, LogConfig};
use crate::host::command::{
    Caller, Command, CommandCx, CommandError, Outcome, Permission, WithoutServer,
};
use crate::log;
use crate::storage::{self, DataLock};
use crate::tasks::Tasks;

/// Runs a command and waits for its answer. Asks the user first if the command needs to be confirmed.
/// Returns `Exit::NotRunning` with the outcome if the command answered about a server that does not run.
pub(super) fn run(
    place: &Place,
    command: &Command,
    mut request: Request,
) -> Result<(Outcome, Exit), Problem> {
    let (mut answer, mut exit) = answer(place, command, &request)?;
    if let Answer::Error(failure) = &answer
        && failure.code == Code::Unconfirmed
    {
        prompt::confirm(&failure.message)?;
        request.confirmed = true;
        (answer, exit) = self::answer(place, command, &request)?;
    }
    match answer {
        Answer::Ok(outcome) => Ok((outcome, exit)),
        Answer::Error(failure) => Err(failure.into()),
    }
}

fn answer(place: &Place, command: &Command, request: &Request) -> Result<(Answer, Exit), Problem> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = in_server(place, request).await? {
                return Ok((answer, Exit::Ok));
            }
            let answer = match command.without_server {
                WithoutServer::Answer(answer) => Some(Answer::Ok(answer(&place.config))),
                WithoutServer::NotRunning => Some(CommandError::NotRunning.into()),
                WithoutServer::OnData => None,
            };
            if let Some(answer) = answer {
                return Ok((with_socket(place, answer), Exit::NotRunning));
            }
            match lock(place, command)? {
                Ok(lock) => return Ok((on_data(place, request, lock).await?, Exit::Ok)),
                // Another command runs, or a server starts. The server is asked in the next round.
                Err(busy) if Instant::now() >= deadline => return Err(busy),
                Err(_) => tokio::time::sleep(PAUSE).await,
            }
        }
    })
}

/// The failure if the command needs a running server. It says where the server was searched.
fn with_socket(place: &Place, mut answer: Answer) -> Answer {
    if let Answer::Error(failure) = &mut answer
        && failure.code == Code::NotRunning
    {
        let socket = place.config.admin_socket();
        failure.message.push_str(&format!("; none answers at {}", socket.display()));
    }
    answer
}

/// `None` if no server answers.
async fn in_server(place: &Place, request: &Request) -> Result<Option<Answer>, Problem> {
    let path = place.config.admin_socket();
    let error = match socket::call(&path, request).await {
        Ok(answer) => return Ok(Some(answer)),
        Err(error) => error,
    };
    let (exit, message) = match error.kind() {
        // No server can have a path that is too long for a socket (`InvalidInput`).
        io::ErrorKind::NotFound
        | io::ErrorKind::NotADirectory
        | io::ErrorKind::ConnectionRefused
        | io::ErrorKind::InvalidInput => return Ok(None),
        io::ErrorKind::FileTooLarge => (Exit::Invalid, error.to_string()),
        io::ErrorKind::PermissionDenied => {
            let who = "only root and the user who runs the server may do this";
            (Exit::NotRunning, format!("{}: {error}; {who}", path.display()))
        }
        _ => (Exit::NotRunning, format!("{}: {error}", path.display())),
    };
    Err(Problem::new(exit, message))
}

/// Locks the data directory for a command. The inner failure means that another program has locked it.
fn lock(place: &Place, command: &Command) -> Result<Result<DataLock, Problem>, Problem> {
    let config = &place.config;
    let alone = |why: String| {
        let socket = config.admin_socket();
        let message = format!("no server answers at {}, and {why}", socket.display());
        Problem::new(Exit::NotRunning, message)
    };
    let data = config.data.display();
    if config.storage.backend == Backend::Memory {
        return Err(alone("this configuration keeps nothing without one".to_owned()));
    }
    // A missing directory is not created: a mistyped path must not look like an empty server.
    if !config.data.is_dir() {
        return Err(alone(format!("there is no data directory {data} (see --data)")));
    }
    if command.permission == Permission::Read && !config.database_path().exists() {
        return Err(alone(format!("there are no data in {data} (see --data)")));
    }
    let lock = match DataLock::try_acquire(&config.data, &command.name()) {
        Ok(Ok(lock)) => lock,
        Ok(Err(holder)) => {
            return Ok(Err(alone(format!("the data directory {data} is in use by {holder}"))));
        }
        Err(error) => return Err(alone(error.to_string())),
    };
    let mut err = io::stderr().lock();
    for mended in lock.mended() {
        drop(writeln!(err, "waxwing: {mended}")); // if writing fails, nobody reads it
    }
    Ok(Ok(lock))
}

async fn on_data(place: &Place, request: &Request, lock: DataLock) -> Result<Answer, Problem> {
    let config = &place.config;
    place.remember()?;
    // The program that opens damaged data first must report it: a server that starts later does not see
    // the damage any more. No log is set up yet.
    let level = "off,waxwing::storage=warn".to_owned();
    drop(log::init(&LogConfig { level, ..config.log.clone() }));
    let tasks = Tasks::new();
    let storage = storage::open(config, &tasks).await?;
    let cx = CommandCx {
        storage: Arc::clone(&storage),
        config: Arc::new(config.clone()),
        derivations: Derivations::new(&config.auth),
        clock: Clock::system(),
        running: None,
        caller: Caller::Uid(rustix::process::getuid().as_raw()),
        default_domain: config.default_domain().to_owned(),
        only_domain: None,
    };
    let answer = with_socket(place, admin::run(cx, request).await);
    storage.close().await;
    tasks.stop(Duration::from_secs(5)).await;
    drop(lock);
    Ok(answer)
}

/// How long the program retries while another one has the data directory, and the pause between tries.
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);
