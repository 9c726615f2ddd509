// Run by mongosh once the server answers. Every step looks first, so that it may be repeated.
const { readFileSync } = require('node:fs');

const secret = (name) => readFileSync(`/run/secrets/${name}`, 'utf8').trim();
const wanted = new URL(secret('mongodb-uri'));
const user = decodeURIComponent(wanted.username);
const password = decodeURIComponent(wanted.password);
const database = wanted.pathname.slice(1);

const server = connect(
  `mongodb://root:${encodeURIComponent(secret('mongodb-root'))}@mongodb:27017/admin?directConnection=true&serverSelectionTimeoutMS=30000`,
);

try {
  server.adminCommand({ replSetGetStatus: 1 });
} catch (error) {
  if (error.codeName !== 'NotYetInitialized') throw error;
  server.adminCommand({ replSetInitiate: { _id: 'rs0', members: [{ _id: 0, host: 'mongodb:27017' }] } });
}

for (let waited = 0; !server.adminCommand({ hello: 1 }).isWritablePrimary; waited += 1) {
  if (waited > 60) throw new Error('The replica set has no primary after a minute.');
  sleep(1000);
}

const own = server.getSiblingDB(database);
if (own.getUser(user) === null) {
  // Of its own database only, and no more than it needs there: data, indexes, validators.
  own.createUser({
    user,
    pwd: password,
    roles: [
      { role: 'readWrite', db: database },
      { role: 'dbAdmin', db: database },
    ],
  });
  print(`made the user ${user} of ${database}`);
} else {
  own.updateUser(user, { pwd: password });
  print(`the user ${user} of ${database} was there`);
}
