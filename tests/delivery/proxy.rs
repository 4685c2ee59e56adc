//! A bad network: a proxy that cuts connections after a chance number of bytes, in the middle of a
//! handshake or of a stanza, and lets them hang before that.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

use super::book::Book;
use super::chance::Chance;

pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    budget: Arc<Budget>,
    /// Ends with this value.
    _tasks: JoinSet<()>,
}

/// How many cuts there are to be, and how many there were.
struct Budget {
    wanted: usize,
    done: AtomicUsize,
}

impl Budget {
    /// The number of the next cut, if there is to be one.
    fn take(&self) -> Option<usize> {
        let next = |done| (done < self.wanted).then_some(done + 1);
        self.done.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok().map(|n| n + 1)
    }
}

impl Proxy {
    /// Cuts so many connections; afterwards it is a good network.
    pub(crate) async fn start(
        server: SocketAddr,
        cuts: usize,
        mut chance: Chance,
        book: Book,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let address = listener.local_addr().expect("it is bound");
        let budget = Arc::new(Budget { wanted: cuts, done: AtomicUsize::new(0) });
        let mut tasks = JoinSet::new();
        let shared = Arc::clone(&budget);
        tasks.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let Ok((client, _)) = listener.accept().await else { continue };
                let (fate, budget) = (Fate::draw(&mut chance), Arc::clone(&shared));
                connections.spawn(carry(client, server, fate, budget, book.clone()));
                while connections.try_join_next().is_some() {}
            }
        });
        Self { address, budget, _tasks: tasks }
    }

    pub(crate) fn cuts(&self) -> usize {
        self.budget.done.load(Ordering::Relaxed)
    }

    pub(crate) fn is_done(&self) -> bool {
        self.cuts() == self.budget.wanted
    }
}

/// What becomes of a connection.
#[derive(Debug)]
struct Fate {
    /// It is cut after so many bytes: those of the client, or those of the server.
    up: bool,
    bytes: u64,
    /// How long the other direction goes on.
    half: Duration,
    /// How long nothing moves after that, at each end.
    client: (Duration, Cut),
    server: (Duration, Cut),
}

#[derive(Clone, Copy, Debug)]
enum Cut {
    Fin,
    Rst,
}

impl Fate {
    fn draw(chance: &mut Chance) -> Self {
        let bytes = match chance.below(5) {
            0 => chance.below(500),   // before TLS
            1 => chance.below(5_000), // in the handshake, in SASL, in bind or resume
            _ => 3_000 + chance.below(30_000),
        };
        let wait = |chance: &mut Chance| match chance.below(2) {
            0 => Duration::ZERO,
            _ => chance.millis(250),
        };
        let half = wait(chance);
        let end = |chance: &mut Chance| (wait(chance), *chance.pick(&[Cut::Fin, Cut::Rst]));
        let (client, server) = (end(chance), end(chance));
        Self { up: chance.one_in(2), bytes, half, client, server }
    }
}

async fn carry(
    mut client: TcpStream,
    server: SocketAddr,
    fate: Fate,
    budget: Arc<Budget>,
    book: Book,
) {
    let Ok(mut server) = TcpStream::connect(server).await else { return };
    // Each write of one side is one of ours.
    if client.set_nodelay(true).and(server.set_nodelay(true)).is_err() {
        return;
    }
    let number = {
        let (mut from_client, mut to_client) = client.split();
        let (mut from_server, mut to_server) = server.split();
        let limit = |up| (fate.up == up).then_some(fate.bytes);
        let up = pump(&mut from_client, &mut to_server, limit(true), &budget);
        let down = pump(&mut from_server, &mut to_client, limit(false), &budget);
        tokio::pin!(up, down);
        let number = tokio::select! { number = &mut up => number, number = &mut down => number };
        if number.is_some() {
            // The other direction does not know yet.
            drop(if fate.up {
                timeout(fate.half, down).await
            } else {
                timeout(fate.half, up).await
            });
        }
        number
    };
    // Without a number, one of them has closed: so do we.
    let Some(number) = number else { return };
    let Fate { up, bytes, half, .. } = fate;
    let way = if up { "up" } else { "down" };
    let (mine, theirs) = (fate.client, fate.server);
    book.note(format!(
        "cut {number} after {bytes} bytes {way}, half open for {half:?}, client {mine:?}, \
         server {theirs:?}"
    ));
    tokio::join!(end(client, mine), end(server, theirs));
}

/// Carries bytes. `None` at their end; the number of the cut where it is cut, with the bytes up to
/// there written and the others lost.
async fn pump(
    from: &mut (impl AsyncRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    mut limit: Option<u64>,
    budget: &Budget,
) -> Option<usize> {
    let mut buffer = vec![0; 8 * 1024];
    loop {
        let count = from.read(&mut buffer).await.ok().filter(|count| *count > 0)?;
        if let Some(left) = limit {
            if count as u64 > left {
                if let Some(number) = budget.take() {
                    // Whether the last bytes arrive makes no difference.
                    drop(to.write_all(&buffer[..left as usize]).await);
                    return Some(number);
                }
                limit = None;
            } else {
                limit = Some(left - count as u64);
            }
        }
        to.write_all(&buffer[..count]).await.ok()?;
    }
}

async fn end(socket: TcpStream, (after, how): (Duration, Cut)) {
    sleep(after).await;
    if matches!(how, Cut::Rst) {
        // Else it ends by FIN, which is as good.
        drop(socket.set_zero_linger());
    }
    drop(socket);
}
