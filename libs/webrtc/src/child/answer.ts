import wrtc from '@roamhq/wrtc';
import type { PeerSettings } from '../protocol.js';
import { advertise } from '../sdp.js';

type PeerConnection = InstanceType<typeof wrtc.RTCPeerConnection>;

/**
 * Media that is offered in one bundle shares one transport and UDP port. `max-bundle` would do so too, but refuses offers whose first
 * media is declined. `portRange` is an extension of @roamhq/wrtc.
 */
export function createPeer(settings: PeerSettings): PeerConnection {
  const configuration: RTCConfiguration & { portRange?: { min: number; max: number } } = {
    bundlePolicy: 'balanced',
    iceTransportPolicy: settings.relayOnly ? 'relay' : 'all',
    iceServers: settings.iceServers.map((server) => ({ ...server, urls: [...server.urls] })),
  };
  if (settings.portMax > 0) configuration.portRange = { min: settings.portMin, max: settings.portMax };
  return new wrtc.RTCPeerConnection(configuration);
}

/**
 * Answers an offer. The answer holds the candidates found until gathering is complete or `gatherMs` has passed.
 * @param isRestart gathering begins again only after the call that sets the description, and until then looks complete
 */
export async function answerOffer(
  peer: PeerConnection,
  sdp: string,
  settings: Pick<PeerSettings, 'advertise' | 'gatherMs'>,
  beforeAnswer: () => void = () => {},
  isRestart = false,
): Promise<string> {
  await peer.setRemoteDescription({ type: 'offer', sdp });
  beforeAnswer();
  await peer.setLocalDescription(await peer.createAnswer());
  await gathered(peer, settings.gatherMs, isRestart);
  return advertise(peer.localDescription?.sdp ?? '', settings.advertise);
}

function gathered(peer: PeerConnection, withinMs: number, needsCandidate: boolean): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      peer.removeEventListener('icegatheringstatechange', check);
      resolve();
    };
    const check = (): void => {
      const found = !needsCandidate || /^a=candidate:/m.test(peer.localDescription?.sdp ?? '');
      if (peer.iceGatheringState === 'complete' && found) done();
    };
    const timer = setTimeout(done, withinMs);
    peer.addEventListener('icegatheringstatechange', check);
    check();
  });
}
