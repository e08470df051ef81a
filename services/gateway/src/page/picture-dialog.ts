import type { OfFace, OwnAvatar, Point, TalkMeshClient, TalkMeshError } from '@talkmesh/client';
import { byId, show } from './elements.js';
import { FaceHandles, type PictureArea } from './face-handles.js';

export interface PictureDialogOptions {
  client(): TalkMeshClient | undefined;
  /** The user accepted the avatar that was made from a picture. */
  onTaken(avatar: OwnAvatar): void;
  /** An avatar that was made from a picture has been deleted. */
  onGone(): void;
}

const TYPES: readonly string[] = ['image/png', 'image/jpeg'];

/** The dialog "Your picture": choose or drop a file, check where eyes and mouth were found, correct it, use it. */
export class PictureDialog {
  readonly #options: PictureDialogOptions;
  readonly #dialog = byId<HTMLDialogElement>('picture-dialog');
  readonly #input = byId<HTMLInputElement>('picture-file');
  readonly #image = byId<HTMLImageElement>('picture-image');
  readonly #view = byId('picture-view');
  readonly #verdict = byId('picture-verdict');
  readonly #buttons = {
    again: byId<HTMLButtonElement>('picture-again'),
    take: byId<HTMLButtonElement>('picture-take'),
    remove: byId<HTMLButtonElement>('picture-remove'),
  };
  readonly #marks = byId('picture-handles');
  readonly #handles = new FaceHandles(this.#marks, () => this.#onHandleMoved());
  #file: File | undefined;
  #avatar: OwnAvatar | undefined;
  #isAccepted = false;
  #sending: AbortController | undefined;

  constructor(options: PictureDialogOptions) {
    this.#options = options;
    byId('picture-open').addEventListener('click', () => this.#open());
    this.#input.addEventListener('change', () => this.#choose(this.#input.files?.[0]));
    this.#buttons.again.addEventListener('click', () => void this.#send(this.#handles.landmarks));
    this.#buttons.take.addEventListener('click', () => this.#accept());
    this.#buttons.remove.addEventListener('click', () => void this.#discard().then(() => this.#reset()));
    byId('picture-close').addEventListener('click', () => this.#dialog.close());
    this.#dialog.addEventListener('close', () => void this.#onClosed());
    this.#acceptDrops();
  }

  /** Deletes the avatar of an own picture on the server. @throws TalkMeshError */
  async delete(id: string): Promise<void> {
    await this.#options.client()?.deleteAvatar(id);
    this.#options.onGone();
  }

  #open(file?: File): void {
    if (!this.#dialog.open) {
      this.#reset();
      this.#dialog.showModal();
    }
    if (file !== undefined) this.#choose(file);
  }

  /** A file can be dropped anywhere on the page, except during a call. */
  #acceptDrops(): void {
    const hasFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') === true;
    const inCall = (): boolean => document.body.dataset['phase'] !== 'choose';
    document.addEventListener('dragover', (event) => {
      if (hasFile(event) && !inCall()) event.preventDefault();
    });
    document.addEventListener('drop', (event) => {
      if (!hasFile(event) || inCall()) return;
      event.preventDefault();
      this.#open(event.dataTransfer?.files[0]);
    });
  }

  #choose(file: File | undefined): void {
    if (file === undefined) return;
    this.#input.value = '';
    if (!TYPES.includes(file.type)) {
      this.#showVerdict('bad', [
        'This file is neither a PNG nor a JPEG. Save the picture as PNG or JPEG and choose it again.',
      ]);
      return;
    }
    // The earlier avatar is deleted first: the same file yields the same avatar id, so a later delete would remove the new one.
    void this.#discard().then(() => {
      this.#file = file;
      return this.#send();
    });
  }

  /** Asks the gateway to make an avatar of the file, and deletes the avatar that was made before. */
  async #send(landmarks?: OfFace<Point>): Promise<void> {
    const [client, file] = [this.#options.client(), this.#file];
    if (client === undefined || file === undefined) return;
    this.#sending?.abort();
    const sending = new AbortController();
    this.#sending = sending;
    this.#showVerdict('busy', ['Looking for eyes and mouth…']);
    this.#enable(false);
    try {
      const options = landmarks === undefined ? {} : { landmarks };
      const avatar = await client.createAvatar(file, { name: nameOf(file), ...options }, sending.signal);
      const previous = this.#avatar;
      this.#avatar = avatar;
      if (previous !== undefined && previous.id !== avatar.id)
        void client.deleteAvatar(previous.id).catch(() => undefined);
      if (sending.signal.aborted) await this.#discard();
      else await this.#showFound(avatar);
    } catch (thrown) {
      if (!sending.signal.aborted) await this.#showRefusal(file, thrown as TalkMeshError, landmarks);
    } finally {
      if (this.#sending === sending) this.#sending = undefined;
    }
  }

  async #showFound(avatar: OwnAvatar): Promise<void> {
    await this.#showImage(avatar.image);
    const { crop, landmarks } = avatar.source;
    this.#handles.place(crop, landmarks);
    show(this.#marks, landmarks !== undefined);
    const { fits, reasons } = avatar.verdict;
    if (fits) this.#showVerdict('good', ['Eyes and mouth were found, and the picture suits the model.']);
    else this.#showVerdict('mild', ['This picture can be used, but:', ...reasons.map(({ text }) => sentence(text))]);
    this.#enable(true);
  }

  /** When no face was found, the user puts the handles on the whole picture by hand. */
  async #showRefusal(file: File, error: TalkMeshError, tried: OfFace<Point> | undefined): Promise<void> {
    const byHand = error.reason === 'FACE_NOT_FOUND' || error.reason === 'ARGUMENT_INVALID';
    // The text after the semicolon explains the `landmarks` parameter of the API; on this page the handles replace it.
    const lines = [sentence(error.message.split(';')[0] ?? '')];
    if (byHand) lines.push('Put the three handles on mouth and eyes, then press “Check again”.');
    show(this.#view, byHand);
    if (byHand) {
      await this.#showImage(await dataUrl(file));
      this.#handles.place(wholeOf(this.#image), tried);
      show(this.#marks, true);
    }
    this.#showVerdict('bad', lines);
    this.#enable(true);
    show(this.#buttons.take, false);
    show(this.#buttons.again, byHand);
  }

  #onHandleMoved(): void {
    show(this.#buttons.again, true);
  }

  #accept(): void {
    if (this.#avatar === undefined) return;
    this.#isAccepted = true;
    this.#dialog.close();
    this.#options.onTaken(this.#avatar);
  }

  /** An avatar that the user did not accept is deleted. */
  async #onClosed(): Promise<void> {
    this.#sending?.abort();
    if (!this.#isAccepted) await this.#discard();
    this.#avatar = undefined;
    this.#file = undefined;
  }

  async #discard(): Promise<void> {
    const avatar = this.#avatar;
    this.#avatar = undefined;
    if (avatar !== undefined) await this.delete(avatar.id).catch(() => undefined);
  }

  #reset(): void {
    this.#isAccepted = false;
    this.#avatar = undefined;
    this.#file = undefined;
    show(this.#view, false);
    this.#showVerdict('idle', []);
    for (const button of Object.values(this.#buttons)) show(button, false);
  }

  #enable(enabled: boolean): void {
    this.#handles.enable(enabled);
    show(this.#buttons.again, false);
    show(this.#buttons.take, enabled && this.#avatar !== undefined);
    show(this.#buttons.remove, enabled && this.#avatar !== undefined);
  }

  async #showImage(url: string): Promise<void> {
    this.#image.src = url;
    await this.#image.decode().catch(() => undefined);
    show(this.#view, true);
  }

  #showVerdict(mood: 'idle' | 'busy' | 'good' | 'mild' | 'bad', lines: readonly string[]): void {
    this.#verdict.dataset['mood'] = mood;
    const paragraphs = lines.map((line) => {
      const paragraph = document.createElement('p');
      paragraph.textContent = line;
      return paragraph;
    });
    this.#verdict.replaceChildren(...paragraphs);
  }
}

/** The smallest square that holds the whole picture, centred as the page shows it. */
function wholeOf({ naturalWidth: width, naturalHeight: height }: HTMLImageElement): PictureArea {
  const side = Math.max(width, height, 1);
  return { left: (width - side) / 2, top: (height - side) / 2, side };
}

function nameOf({ name }: File): string {
  const short = name
    .replace(/\.[^.]*$/, '')
    .trim()
    .slice(0, 40);
  return short === '' ? 'Your picture' : short;
}

const sentence = (text: string): string => `${text.charAt(0).toUpperCase()}${text.slice(1)}`.replace(/[.]?$/, '.');

function dataUrl(file: File): Promise<string> {
  return new Promise((resolve, reject) => {
    const reader = new FileReader();
    reader.addEventListener('load', () => resolve(String(reader.result)));
    reader.addEventListener('error', () => reject(reader.error));
    reader.readAsDataURL(file);
  });
}
