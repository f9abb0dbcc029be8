// Serves made-up requests, each with a session that is kept in a Map.
//   sessions.js KEEP PER_TICK: at most KEEP sessions are kept (0: all, which is the leak).
const keep = Number(process.argv[2]), perTick = Number(process.argv[3]);
const sessions = new Map();
let n = 0, sum = 0;
setInterval(() => {
  for (let i = 0; i < perTick; i++) {
    n++;
    sessions.set('session' + n, { id: n, roles: ['user', 'reader'], token: Math.random().toString(36).repeat(20) });
    if (keep && sessions.size > keep) sessions.delete(sessions.keys().next().value);
  }
  // The request's own garbage.
  const rows = Array.from({ length: 300 + Math.floor(Math.random() * 1500) }, (_, i) => ({ i, s: 'row ' + i * n }));
  sum += JSON.stringify(rows).length;
}, 100);
