/** Answers that no server gives. Each is to be an app error. */
export const rawAnswers = 'headers header continue status length lengths both chunk extension trailers nothing'.split(
  ' ',
);

/** A program that answers to `/raw?what=` with bytes in the place of HTTP, and to all else with how many calls of that kind it has had. */
export const rawServer = `
const ok = 'HTTP/1.1 200 OK\\r\\n', chunked = ok + 'transfer-encoding: chunked\\r\\n\\r\\n';
require('node:net').createServer((socket) => {
  socket.on('error', () => {});
  const repeat = (piece) => { const bytes = Buffer.from(piece.repeat(Math.max(1, Math.floor(16384 / piece.length)))); const more = () => { while (socket.writable && socket.write(bytes)); socket.once('drain', more); }; more(); };
  const answers = {
    headers: () => socket.write(ok, () => repeat('a: b\\r\\n')),
    header: () => socket.write(ok + 'a: ', () => repeat('b')),
    continue: () => repeat('HTTP/1.1 100 Continue\\r\\n\\r\\n'),
    status: () => socket.write('HTTP/1.1 99999 OK\\r\\ncontent-length: 0\\r\\n\\r\\n'),
    length: () => socket.write(ok + 'content-length: 99999999999999999999\\r\\n\\r\\n'),
    lengths: () => socket.write(ok + 'content-length: 1\\r\\ncontent-length: 2\\r\\n\\r\\nxx'),
    both: () => socket.write(ok + 'content-length: 5\\r\\ntransfer-encoding: chunked\\r\\n\\r\\n0\\r\\n\\r\\n'),
    chunk: () => socket.write(chunked + '1ffffffffffffffff\\r\\nx'),
    extension: () => socket.write(chunked + '1;', () => repeat('e')),
    trailers: () => socket.write(chunked + '0\\r\\n', () => repeat('a: b\\r\\n')),
    twice: () => socket.write(ok + 'content-length: 1\\r\\n\\r\\nx' + ok + 'content-length: 1\\r\\n\\r\\ny'),
    nothing: () => socket.destroy(),
  };
  socket.once('data', (head) => {
    const what = /^GET \\/raw\\?what=(\\w+)/.exec(head)?.[1];
    if (what === undefined) return socket.end(ok + 'content-length: 1\\r\\n\\r\\n1');
    answers[what]();
  });
}).listen(8080);
`;
