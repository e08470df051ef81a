import {
  type CSSProperties,
  createElement,
  forwardRef,
  type ReactNode,
  useEffect,
  useImperativeHandle,
  useRef,
} from 'react';
import { defineTalkMesh, type TalkMeshElement, type TalkMeshEvents } from './element/index.js';

export type { TalkMeshElement, TalkMeshEvents };

export interface TalkMeshProps {
  /** Path or URL that mints session tokens. */
  readonly tokenUrl: string;
  /** The gateway. */
  readonly baseUrl?: string;
  readonly avatar?: string;
  readonly provider?: string;
  readonly language?: string;
  readonly voice?: string;
  readonly input?: 'voice-activity' | 'push-to-talk';
  /** On by default. */
  readonly microphone?: boolean;
  /** On by default. */
  readonly captions?: boolean;
  readonly stats?: boolean;
  /** The user can choose microphone and speaker. */
  readonly devices?: boolean;
  /** What both sides said, below the controls. */
  readonly transcript?: boolean;
  /** Before a call the avatar moves as the model recorded it. */
  readonly idle?: boolean;
  readonly onState?: (state: TalkMeshEvents['state']) => void;
  readonly onEvent?: (event: TalkMeshEvents['event']) => void;
  readonly onCaption?: (caption: TalkMeshEvents['caption']) => void;
  readonly onStats?: (stats: TalkMeshEvents['stats']) => void;
  readonly onError?: (error: TalkMeshEvents['error']) => void;
  readonly className?: string;
  readonly style?: CSSProperties;
  /** Elements with `slot="poster"` or `slot="controls"`. */
  readonly children?: ReactNode;
}

const HANDLERS = {
  state: 'onState',
  event: 'onEvent',
  caption: 'onCaption',
  stats: 'onStats',
  error: 'onError',
} as const;

/** `<talk-mesh>` as a React component (React 18 or newer). The ref is the element, with `connect()`, `hangUp()` and `call`. */
export const TalkMesh = forwardRef<TalkMeshElement, TalkMeshProps>((props, ref) => {
  const element = useRef<TalkMeshElement>(null);
  const latest = useRef(props);
  latest.current = props;
  useImperativeHandle(ref, () => element.current as TalkMeshElement, []);
  useEffect(() => {
    defineTalkMesh();
    const target = element.current;
    const listeners = Object.entries(HANDLERS).map(([type, handler]) => {
      const listen = (event: Event): void => {
        const call = latest.current[handler] as ((detail: unknown) => void) | undefined;
        call?.((event as CustomEvent<unknown>).detail);
      };
      target?.addEventListener(type, listen);
      return () => target?.removeEventListener(type, listen);
    });
    return () => {
      for (const remove of listeners) remove();
    };
  }, []);
  const { tokenUrl, baseUrl, avatar, provider, language, voice, input, className, style, children } = props;
  const attributes = {
    'token-url': tokenUrl,
    'base-url': baseUrl,
    ...{ avatar, provider, language, voice, input },
    microphone: props.microphone === false ? 'off' : undefined,
    captions: props.captions === false ? 'off' : undefined,
    stats: props.stats === true ? '' : undefined,
    devices: props.devices === true ? '' : undefined,
    transcript: props.transcript === true ? '' : undefined,
    idle: props.idle === true ? '' : undefined,
    class: className,
  };
  return createElement('talk-mesh', { ref: element, style, ...attributes }, children);
});
TalkMesh.displayName = 'TalkMesh';
