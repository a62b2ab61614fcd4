// Checks of a driver program, reported one line each: "ok NAME" or "not ok NAME: why".

export const mode = process.env.LAB_MODE ?? 'direct';
// In transaction mode behind a pooler, other clients keep the pool busy, and a client's
// transactions must really run on several server connections.
export const linksChange = process.env.LAB_LINKS_CHANGE === '1';

const checks = [];

export function check(name, run) {
  checks.push({ name, run });
}

export async function main() {
  let failures = 0;
  for (const { name, run } of checks) {
    let timer;
    try {
      const late = new Promise((_, reject) => {
        timer = setTimeout(() => reject(new Error('not done within 60 s')), 60000);
      });
      await Promise.race([run(), late]);
      console.log(`ok ${name}`);
    } catch (error) {
      failures++;
      console.error(error);
      console.log(`not ok ${name}: ${String(error).replace(/\s+/g, ' ')}`);
    } finally {
      clearTimeout(timer);
    }
  }
  console.log(`1..${checks.length}`);
  process.exit(failures ? 1 : 0);
}
