import { describe, expect, test } from 'vitest';
import { ComposeError, parseCompose } from '../../src/index.ts';

const web = (lines: string): string => `services:\n  web:\n    image: web:1\n    ports: ["8080"]\n${lines}`;

function refusal(text: string): { code: string; line: number; message: string } {
  try {
    parseCompose(text);
  } catch (error) {
    if (error instanceof ComposeError) return { code: error.code, line: error.line, message: error.message };
    throw error;
  }
  throw new Error('It was read');
}

describe('a compose file', () => {
  test('is read as it is written, in the order of dependencies', () => {
    const app = parseCompose(`
version: "3.9"
name: notes
services:
  web:
    image: registry.example/web:1.2
    command: node "my server.js" --port 8080
    environment:
      STORE: http://store:7000
      DEBUG: false
      PRICE: 5$$
      GIVEN:
    depends_on:
      store: { condition: service_started }
    working_dir: /srv/app
    read_only: true
    tmpfs: /var/cache
    ports: ["80:8080/tcp"]
  store:
    image: store
    entrypoint: ["/bin/store", "-v"]
    environment: [A=b=c, EMPTY=, GIVEN]
    tmpfs: [/data, /var/lib/store]
    expose: [7000]
`);
    expect(app.public).toEqual({ service: 'web', port: 8080 });
    expect(app.services.map(({ name }) => name)).toEqual(['store', 'web']);
    const [store, front] = app.services;
    expect(store).toMatchObject({
      entrypoint: ['/bin/store', '-v'],
      environment: { A: 'b=c', EMPTY: '' },
      tmpfs: ['/data', '/var/lib/store'],
    });
    expect(front).toMatchObject({
      image: 'registry.example/web:1.2',
      command: ['node', 'my server.js', '--port', '8080'],
      environment: { STORE: 'http://store:7000', DEBUG: 'false', PRICE: '5$' },
      workingDir: '/srv/app',
      tmpfs: ['/var/cache'],
    });
  });

  test('without "ports" is called on the one port that is exposed', () => {
    expect(parseCompose('services: {a: {image: a, expose: ["81"]}}').public).toEqual({ service: 'a', port: 81 });
  });

  test.each([
    'privileged: true',
    'cap_add: [SYS_ADMIN]',
    'security_opt: ["seccomp:unconfined"]',
    'devices: ["/dev/kvm"]',
    'network_mode: host',
    'networks: [a]',
    'pid: host',
    'ipc: host',
    'uts: host',
    'userns_mode: host',
    'cgroup_parent: /',
    'user: root',
    'volumes: ["/:/host"]',
    'volumes_from: [b]',
    'sysctls: {a: b}',
    'extra_hosts: ["a:1.2.3.4"]',
    'env_file: .env',
    'build: .',
    'extends: {file: a}',
    'deploy: {replicas: 3}',
    'read_only: false',
    'x-anything: 1',
    'no_such_key: 1',
  ])('refuses "%s" by its line', (line) => {
    const { code, line: at, message } = refusal(web(`    ${line}\n`));
    expect({ code, at }).toEqual({ code: 'COMPOSE_REFUSED', at: 5 });
    expect(message).toMatch(/^Line 5 of the compose file: /);
  });

  test.each([
    ['volumes: {a: {}}', 1],
    ['networks: {a: {}}', 1],
    ['include: [b.yaml]', 1],
  ])('refuses "%s" beside services', (line, at) => {
    expect(refusal(`${line}\n${web('')}`)).toMatchObject({ code: 'COMPOSE_REFUSED', line: at });
  });

  test.each([
    ['an anchor', 'services:\n  web: &a\n    image: a', 3],
    ['an alias', 'services:\n  web: &a {image: a}\n  b: *a', 2],
    ['a tag', 'services:\n  web:\n    image: !!binary aGk=', 3],
    ['a variable', web('    command: run $HOME\n'), 5],
    ['a variable in braces', web('    environment: {A: "x$' + '{B}"}\n'), 5],
    ['a second public port', web('').replace('["8080"]', '["8080", "8081"]'), 4],
    ['a range of ports', web('').replace('["8080"]', '["8080-8090"]'), 4],
    ['a port of an address', web('').replace('["8080"]', '["127.0.0.1:80:8080"]'), 4],
    ['a UDP port', web('').replace('["8080"]', '["53/udp"]'), 4],
    ['the port of the way out', web('').replace('8080', '3128'), 4],
    ['a wait for health', web('    depends_on: {web: {condition: service_healthy}}\n'), 5],
    ['memory over what the worker puts there', web('    tmpfs: [/var/run]\n'), 5],
    ['memory over devices', web('    tmpfs: /dev/shm\n'), 5],
    [
      'more services than eight',
      `services:\n${Array.from({ length: 9 }, (_, n) => `  s${n}: {image: a}\n`).join('')}`,
      10,
    ],
  ])('refuses %s', (_, text, line) => {
    expect(refusal(text)).toMatchObject({ code: 'COMPOSE_REFUSED', line });
  });

  test.each([
    ['no YAML', 'services: [', 1],
    ['a tab', 'services:\n\tweb: 1', 2],
    ['one key twice', `${web('')}    image: other\n`, 5],
    ['two documents', `${web('')}---\nservices: {}\n`, 5],
    ['no services', 'name: a\n', 1],
    ['services that are none', 'services: 5\n', 1],
    ['no image', 'services:\n  web:\n    ports: ["80"]', 2],
    ['an image of no name', web('').replace('web:1', '"Web 1"'), 3],
    ['no port', 'services:\n  web:\n    image: a', 2],
    ['a name with dots', 'services:\n  ../web: {image: a}', 2],
    ['a service that is not there', web('    depends_on: [store]\n'), 5],
    ['a circle', `${web('    depends_on: [b]\n')}  b:\n    image: b\n    depends_on: [web]\n`, 2],
    ['a relative folder', web('    tmpfs: data\n'), 5],
    ['a folder that leads out', web('    tmpfs: /data/../etc\n'), 5],
    ['options of a folder', web('    tmpfs: "/data:exec"\n'), 5],
    ['a quote without end', web('    command: run "it\n'), 5],
    ['a variable of no name', web('    environment: ["A B=c"]\n'), 5],
    ['a list where a text belongs', web('    working_dir: [a]\n'), 5],
    ['nothing', '', 1],
  ])('is malformed: %s', (_, text, line) => {
    expect(refusal(text)).toMatchObject({ code: 'COMPOSE_MALFORMED', line });
  });

  test('has a bound', () => {
    expect(refusal(`# ${'a'.repeat(65_536)}\n${web('')}`).code).toBe('COMPOSE_MALFORMED');
  });
});
