/** The component `<talk-mesh>` in a page of another origin with a strict content security policy, before any media flows. */
import assert from 'node:assert/strict';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, beforeEach, test } from 'node:test';
import { tokenHandler } from '@talkmesh/client/server';
import { until } from '@talkmesh/service-kit/testing';
import type { Browser, Page } from 'playwright-core';
import { collectErrors, launchChromium } from '../testing/browser.js';
import { API_KEY, FakeMesh } from '../testing/fake-mesh.js';

let mesh: FakeMesh;
let browser: Browser;
let shop: Server;
let shopUrl: string;
/** Markup inside the page's body, and whether its token server grants calls. */
let markup = '';
let grants = true;
let wishes: object[] = [];

before(async () => {
  shop = createServer((request, response) => {
    if (request.url === '/token') return void mint(request, response);
    response.setHeader('content-type', 'text/html');
    response.setHeader(
      'content-security-policy',
      `default-src 'none'; script-src ${mesh.gateway.url}; connect-src 'self' ${mesh.gateway.url}; img-src ${mesh.gateway.url}`,
    );
    response.end(
      `<!doctype html><title>Shop</title><script type="module" src="${mesh.gateway.url}/talk-mesh.js"></script>${markup}`,
    );
  });
  await new Promise<void>((resolve) => void shop.listen(0, '127.0.0.1', resolve));
  shopUrl = `http://127.0.0.1:${(shop.address() as AddressInfo).port}`;
  mesh = await FakeMesh.start({ TALKMESH_CALL_DEADLINE_MS: '60000', TALKMESH_CORS_ORIGINS: shopUrl });
  const mint = tokenHandler({
    baseUrl: mesh.gateway.url,
    apiKey: API_KEY,
    session: (wanted) => {
      wishes.push(wanted);
      return grants ? { avatar: wanted.avatar ?? 'ada' } : undefined;
    },
  });
  browser = await launchChromium(['--use-fake-ui-for-media-stream', '--use-fake-device-for-media-stream']);
});
beforeEach(() => {
  grants = true;
  wishes = [];
});
after(async () => {
  await browser.close();
  shop.close();
  shop.closeAllConnections();
  await mesh[Symbol.asyncDispose]();
});

async function openShop(
  elements: string,
  prepare: (page: Page) => Promise<unknown> = async () => undefined,
): Promise<{ page: Page; errors: string[] }> {
  markup = elements;
  const page = await browser.newPage();
  // tsx compiles functions to calls of a helper `__name`, which does not exist in the page.
  await page.addInitScript('globalThis.__name = (target) => target');
  await prepare(page);
  const errors = collectErrors(page);
  await page.goto(shopUrl);
  await page.waitForFunction(() => customElements.get('talk-mesh') !== undefined);
  return { page, errors };
}

const openSessions = async (): Promise<number> =>
  (await mesh.call<{ sessions: unknown[] }>('GET', '/v1/sessions')).body.sessions.length;
const button = (page: Page, name: string) => page.locator(`talk-mesh [part=${name}]`);

test('the script of the gateway defines the component, with its picture, under a strict policy of the page', async () => {
  const { page, errors } = await openShop('<talk-mesh avatar="ada" token-url="/token"></talk-mesh>');
  const poster = button(page, 'poster');
  await poster.waitFor();
  assert.equal(await poster.getAttribute('src'), `${mesh.gateway.url}/v1/avatars/ada/image`);
  await page.waitForFunction(
    () => (document.querySelector('talk-mesh')?.shadowRoot?.querySelector('img')?.naturalWidth ?? 0) > 0,
  );
  const radius = await page.locator('talk-mesh').evaluate((element) => getComputedStyle(element).borderRadius);
  assert.equal(radius, '16px', 'the style of the shadow tree applies');
  assert.equal(await button(page, 'hang-up').isVisible(), false);
  assert.deepEqual(errors, []);
  await page.close();
});

/** Until the returned function is called, offers wait, so that calls stay in the state `connecting`. */
function holdOffers(): () => void {
  const egress = mesh.workers['webrtc-egress'];
  const usual = egress.onOffer;
  const held: (() => void)[] = [];
  egress.onOffer = async () => {
    await new Promise<void>((resolve) => void held.push(resolve));
    return usual();
  };
  return () => {
    egress.onOffer = usual;
    for (const release of held) release();
  };
}

test('a call asks the token server for what the attributes wish, connects, and hangs up when the element is removed', async () => {
  const { page } = await openShop(
    '<talk-mesh avatar="bo" provider="parrot" language="de" token-url="/token" microphone="off"></talk-mesh><p></p>',
  );
  const states = page.evaluate(
    () =>
      new Promise<string[]>((resolve) => {
        const seen: string[] = [];
        document.querySelector('talk-mesh')?.addEventListener('state', (event) => {
          seen.push((event as CustomEvent<string>).detail);
          if (seen.at(-1) === 'ended') resolve(seen);
        });
      }),
  );
  const release = holdOffers();
  await button(page, 'call').click();
  await until('an offer', () => mesh.workers['webrtc-egress'].offers.length > 0);
  assert.deepEqual(wishes, [{ avatar: 'bo', provider: 'parrot', language: 'de' }]);
  assert.equal(await openSessions(), 1);
  await page.evaluate(() => document.querySelector('p')?.append(document.querySelector('talk-mesh') as Element));
  assert.equal(await openSessions(), 1, 'moving the element within the page does not hang up');
  await page.evaluate(() => document.querySelector('talk-mesh')?.remove());
  await until('the session to end', async () => (await openSessions()) === 0);
  assert.deepEqual(await states, ['connecting', 'ended']);
  release();
  await page.close();
});

test('with push-to-talk the wish reaches the token server, and there is a button to hold once the call is live', async () => {
  const { page } = await openShop(
    '<talk-mesh avatar="ada" input="push-to-talk" token-url="/token" microphone="off"></talk-mesh>',
  );
  assert.equal(await button(page, 'talk').isVisible(), false);
  const before = mesh.workers['webrtc-egress'].offers.length;
  const release = holdOffers();
  await button(page, 'call').click();
  await until('an offer', () => mesh.workers['webrtc-egress'].offers.length > before);
  await button(page, 'talk').waitFor();
  assert.equal(await button(page, 'talk').isDisabled(), true);
  assert.deepEqual(wishes, [{ avatar: 'ada', input: 'push-to-talk' }]);
  await button(page, 'hang-up').click();
  await until('the session to end', async () => (await openSessions()) === 0);
  release();
  await page.close();
});

test('closing the page ends the session', async () => {
  const { page } = await openShop('<talk-mesh avatar="ada" token-url="/token" microphone="off"></talk-mesh>');
  const before = mesh.workers['webrtc-egress'].offers.length;
  const release = holdOffers();
  await button(page, 'call').click();
  await until('an offer', () => mesh.workers['webrtc-egress'].offers.length > before);
  assert.equal(await openSessions(), 1);
  await page.goto('about:blank');
  await until('the session to end', async () => (await openSessions()) === 0);
  release();
  await page.close();
});

declare global {
  var openings: { asked: number; tracks: MediaStreamTrack[] };
}

/** Microphones that the page asks for and gets, in `openings`; the user has allowed them before. */
async function watchMicrophones(page: Page): Promise<void> {
  await page.context().grantPermissions(['microphone']);
  await page.addInitScript(() => {
    globalThis.openings = { asked: 0, tracks: [] };
    const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
    navigator.mediaDevices.getUserMedia = async (wanted) => {
      globalThis.openings.asked += 1;
      const stream = await open(wanted);
      globalThis.openings.tracks.push(...stream.getTracks());
      return stream;
    };
  });
}
const asked = (page: Page): Promise<number> => page.evaluate(() => globalThis.openings.asked);
const tracks = (page: Page): Promise<string[]> =>
  page.evaluate(() => globalThis.openings.tracks.map(({ readyState }) => readyState));

test('an allowed microphone is opened by a press only, once for many presses, and closed with the choice of devices', async () => {
  const { page } = await openShop('<talk-mesh avatar="ada" devices token-url="/token"></talk-mesh>', watchMicrophones);
  const choices = button(page, 'microphone').locator('option');
  await until('the devices', async () => (await choices.count()) > 1);
  // Longer than the browser needs to say that the microphone is allowed.
  await page.waitForTimeout(500);
  assert.equal(await asked(page), 0);
  const pressTwice = (): Promise<void> =>
    page.evaluate(() => {
      const test = document.querySelector('talk-mesh')?.shadowRoot?.querySelector<HTMLElement>('[part=test]');
      test?.click();
      test?.click();
    });
  await pressTwice();
  await button(page, 'test').waitFor({ state: 'hidden' });
  await until('both answers', async () => (await tracks(page)).length === 2);
  assert.deepEqual((await tracks(page)).sort(), ['ended', 'live']);
  await pressTwice();
  await page.evaluate(() => document.querySelector('talk-mesh')?.removeAttribute('devices'));
  await until('all answers', async () => (await tracks(page)).length === 4);
  await until('all to be closed', async () => !(await tracks(page)).includes('live'));
  await page.close();
});

/** Connections of the page to itself stand for the workers, until the returned function is called. */
function answerInPage(page: Page): () => void {
  const workers = [mesh.workers['webrtc-egress'], mesh.workers['audio-ingest']];
  const usual = workers.map(({ onOffer }) => onOffer);
  for (const worker of workers)
    worker.onOffer = async () => {
      const sdp = await page.evaluate(async (offer) => {
        const peer = new RTCPeerConnection();
        await peer.setRemoteDescription({ type: 'offer', sdp: offer });
        await peer.setLocalDescription(await peer.createAnswer());
        while (peer.iceGatheringState !== 'complete') await new Promise((resolve) => setTimeout(resolve, 10));
        return peer.localDescription?.sdp ?? '';
      }, worker.offers.at(-1)?.sdp ?? '');
      return { sdp, resourceId: 'r-1' };
    };
  return () => {
    for (const [index, worker] of workers.entries()) worker.onOffer = usual[index] ?? worker.onOffer;
  };
}

test('the microphone of a call is metered until the call ends', async () => {
  const { page } = await openShop('<talk-mesh avatar="ada" devices token-url="/token"></talk-mesh>', watchMicrophones);
  const restore = answerInPage(page);
  await button(page, 'call').click();
  await button(page, 'test').waitFor({ state: 'hidden' });
  assert.deepEqual(await tracks(page), ['live'], 'the meter opens none of its own');
  await button(page, 'hang-up').click();
  await button(page, 'test').waitFor();
  assert.deepEqual(await tracks(page), ['ended']);
  await until('the session to end', async () => (await openSessions()) === 0);
  restore();
  await page.close();
});

for (const [what, elements, refused, expected] of [
  ['no token-url', '<talk-mesh avatar="ada"></talk-mesh>', false, /token-url is missing/],
  ['a token server that refuses', '<talk-mesh avatar="ada" token-url="/token"></talk-mesh>', true, /You may not start/],
  ['a wrong avatar', '<talk-mesh avatar="no-such-face" token-url="/token"></talk-mesh>', false, /avatar/],
  ['an answer that is no ticket', '<talk-mesh avatar="ada" token-url="/"></talk-mesh>', false, /./],
  [
    'a gateway that is away',
    '<talk-mesh avatar="ada" token-url="/token" base-url="http://127.0.0.1:1"></talk-mesh>',
    false,
    /cannot be reached/,
  ],
] as const)
  test(`${what} is said in words and as an event, and Call works again`, async () => {
    grants = !refused;
    const { page } = await openShop(elements);
    const dispatched = page.evaluate(
      () =>
        new Promise<string>((resolve) => {
          document.querySelector('talk-mesh')?.addEventListener('error', (event) => {
            resolve((event as unknown as CustomEvent<Error>).detail.message);
          });
        }),
    );
    await button(page, 'call').click();
    const text = await dispatched;
    assert.match(text, expected);
    await button(page, 'error').waitFor();
    assert.equal(await button(page, 'error').textContent(), text);
    await button(page, 'call').waitFor();
    await page.close();
    for (const { id } of (await mesh.call<{ sessions: { id: string }[] }>('GET', '/v1/sessions')).body.sessions)
      await mesh.call('DELETE', `/v1/sessions/${id}`);
  });
