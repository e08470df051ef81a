import type { ServerDuplexStream } from '@grpc/grpc-js';
import { type FrameMessage, MeshError } from '@talkmesh/contracts';
import type { v1 } from '@talkmesh/contracts/protos';
import { JpegEncoder } from '@talkmesh/media';
import { afterSilence, toServiceError } from '@talkmesh/service-kit';
import { formProblem, isTaken } from './agent-messages.js';
import type { FrameSink } from './frame-sink.js';
import type { FrameShape } from './inbound.js';
import type { EgressMetrics } from './metrics.js';
import type { Speaker, SpeakerConnection, SpeakerReport } from './speaker.js';

type Connect = (typeof v1.AvatarService)['service']['Connect'];
type Request = ReturnType<Connect['requestDeserialize']>;
type Response = Parameters<Connect['responseSerialize']>[0];
export type AvatarCall = ServerDuplexStream<Request, Response>;
type Attach = NonNullable<Request['attach']>;

/** What a session offers to the program that speaks. */
export interface Stage {
  readonly speaker: Speaker;
  readonly shape: FrameShape;
  readonly fps: number;
  readonly graceMs: number;
  /** Undefined: the frames go elsewhere. */
  readonly frames: FrameSink | undefined;
}

export interface AvatarStreamOptions {
  /** @throws MeshError SESSION_NOT_FOUND, ARGUMENT_INVALID: the session has another source of speech */
  stageOf(sessionId: string): Stage;
  readonly metrics: EgressMetrics;
  readonly firstMessageMs?: number;
}

const FIRST_MESSAGE_MS = 10_000;
/** Frames that the caller has not read; of more only the audio is sent. */
const MAX_UNREAD_PICTURES = 12;
/** Of frames that were not read, with or without a picture: then the caller counts as stuck. */
const MAX_UNREAD_SECONDS = 5;

/** One call of AvatarService.Connect. */
export class AvatarStream implements SpeakerConnection {
  readonly #call: AvatarCall;
  readonly #options: AvatarStreamOptions;
  readonly #first: { cancel(): void };
  #stage: Stage | undefined;
  #video: Attach['video'] = 'VIDEO_FORMAT_UNSPECIFIED';
  #jpeg: JpegEncoder | undefined;
  #unread = 0;
  #isOver = false;

  constructor(call: AvatarCall, options: AvatarStreamOptions) {
    this.#call = call;
    this.#options = options;
    this.#first = afterSilence(options.firstMessageMs ?? FIRST_MESSAGE_MS, () =>
      this.end(new MeshError('DEADLINE_EXCEEDED', 'the stream has no first message; send attach')),
    );
    call.on('data', (request: Request) => this.#receive(request));
    call.on('end', () => {
      this.#finish(false);
      call.end();
    });
    call.on('cancelled', () => this.#finish(false));
  }

  report(report: SpeakerReport): void {
    const { shape, fps, graceMs, frames } = this.#stage as Stage;
    if (report.type === 'ready') {
      const { unfinished, ...state } = report.state;
      const { width, height } = shape;
      const picture = { graceMs, width, height, fps, hasFrames: frames !== undefined };
      this.#call.write({ ready: { ...state, unfinished: [...unfinished], ...picture } });
    } else if (report.type === 'started') this.#call.write({ started: { utterance: report.utterance } });
    else if (report.type === 'cleared') this.#call.write({ cleared: {} });
    else {
      const { utterance, positionMs, interrupted } = report;
      this.#call.write({ finished: { utterance, positionMs, interrupted } });
    }
  }

  end(error: MeshError): void {
    if (this.#isOver) return;
    this.#finish(false);
    this.#call.emit('error', toServiceError(error));
  }

  readonly #writeFrame = (frame: FrameMessage): void => {
    if (this.#unread >= MAX_UNREAD_SECONDS * (this.#stage?.fps ?? 0)) {
      this.end(
        new MeshError(
          'RATE_LIMITED',
          `the program reads too slowly: ${MAX_UNREAD_SECONDS} s of audio wait; read on and connect again`,
        ),
      );
      return;
    }
    const hasPicture = this.#video !== 'VIDEO_FORMAT_UNSPECIFIED' && this.#unread < MAX_UNREAD_PICTURES;
    if (!hasPicture && this.#video !== 'VIDEO_FORMAT_UNSPECIFIED') this.#options.metrics.unreadPictures.inc();
    this.#unread += 1;
    const { mediaTimeUs, width, height, speaking, pcm } = frame;
    const isMuted = this.#stage?.speaker.isMuted(frame) === true;
    const sent = {
      ...{ mediaTimeUs, width, height, speaking, format: this.#video },
      pcm: isMuted ? Buffer.alloc(pcm.byteLength) : Buffer.from(pcm.buffer, pcm.byteOffset, pcm.byteLength),
      video: hasPicture ? this.#encode(frame) : Buffer.alloc(0),
    };
    this.#call.write({ frame: sent }, () => {
      this.#unread -= 1;
    });
  };

  #encode({ i420, width, height }: FrameMessage): Buffer {
    if (this.#video === 'VIDEO_FORMAT_JPEG') this.#jpeg ??= new JpegEncoder(width, height);
    const bytes = this.#jpeg?.encode(i420) ?? i420;
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  #receive({ body, attach, pcm }: Request): void {
    if (this.#isOver) return;
    try {
      if (this.#stage === undefined) this.#attach(attach);
      else if (body === 'pcm' && pcm != null) this.#stage.speaker.audio(pcm);
      else if (body === 'end') this.#stage.speaker.end();
      else if (body === 'clear') this.#stage.speaker.clear();
      else if (body === 'leave') this.#finish(true);
      else throw new MeshError('ARGUMENT_INVALID', 'the stream is attached already; send pcm, end, clear or leave');
    } catch (thrown) {
      this.end(MeshError.from(thrown));
    }
  }

  #attach(attach: Attach | null | undefined): void {
    this.#first.cancel();
    if (attach == null) throw new MeshError('ARGUMENT_INVALID', 'the first message is not attach; send it first');
    const { sessionId, sampleRateHz: rateHz, channels, video, utterances } = attach;
    if (!isTaken({ rateHz, channels })) throw new MeshError('AUDIO_FORMAT_INVALID', formProblem({ rateHz, channels }));
    const stage = this.#options.stageOf(sessionId);
    this.#stage = stage;
    this.#video = video;
    stage.speaker.attach(this, { rateHz, channels }, utterances);
    stage.frames?.attach(this.#writeFrame);
  }

  #finish(onPurpose: boolean): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#first.cancel();
    this.#stage?.frames?.detach(this.#writeFrame);
    this.#stage?.speaker.detach(this, onPurpose);
  }
}
