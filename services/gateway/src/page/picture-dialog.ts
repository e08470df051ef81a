import type { OfFace, OwnAvatar, Point, TalkMeshClient, TalkMeshError } from '@talkmesh/client';
import { byId, show } from './elements.js';
import { FaceHandles, type Shown } from './face-handles.js';

export interface PictureDialogOptions {
  client(): TalkMeshClient | undefined;
  /** A picture became an avatar and was taken. */
  onTaken(avatar: OwnAvatar): void;
  /** An avatar that was made here is there no more. */
  onGone(): void;
}

const TYPES: readonly string[] = ['image/png', 'image/jpeg'];

/** "Your picture": choose or drop a file, see what was found, put it right, take it. */
export class PictureDialog {
  private readonly o: PictureDialogOptions;
  private readonly dialog = byId<HTMLDialogElement>('picture-dialog');
  private readonly input = byId<HTMLInputElement>('picture-file');
  private readonly image = byId<HTMLImageElement>('picture-image');
  private readonly view = byId('picture-view');
  private readonly verdict = byId('picture-verdict');
  private readonly buttons = {
    again: byId<HTMLButtonElement>('picture-again'),
    take: byId<HTMLButtonElement>('picture-take'),
    remove: byId<HTMLButtonElement>('picture-remove'),
  };
  private readonly handles = new FaceHandles(byId('picture-handles'), () => this.moved());
  private file: File | undefined;
  private avatar: OwnAvatar | undefined;
  private taken = false;
  private sending: AbortController | undefined;

  constructor(options: PictureDialogOptions) {
    this.o = options;
    byId('picture-open').addEventListener('click', () => this.open());
    this.input.addEventListener('change', () => this.choose(this.input.files?.[0]));
    this.buttons.again.addEventListener('click', () => void this.send(this.handles.landmarks));
    this.buttons.take.addEventListener('click', () => this.take());
    this.buttons.remove.addEventListener('click', () => void this.discard().then(() => this.reset()));
    byId('picture-close').addEventListener('click', () => this.dialog.close());
    this.dialog.addEventListener('close', () => void this.closed());
    this.acceptDrops();
  }

  /** Called for a picture that is not wanted any more. */
  async delete(id: string): Promise<void> {
    await this.o.client()?.deleteAvatar(id);
    this.o.onGone();
  }

  private open(file?: File): void {
    if (!this.dialog.open) {
      this.reset();
      this.dialog.showModal();
    }
    if (file !== undefined) this.choose(file);
  }

  /** A file dropped anywhere on the page is a picture. */
  private acceptDrops(): void {
    const hasFile = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') === true;
    const inCall = (): boolean => document.body.dataset['phase'] !== 'choose';
    document.addEventListener('dragover', (event) => {
      if (hasFile(event) && !inCall()) event.preventDefault();
    });
    document.addEventListener('drop', (event) => {
      if (!hasFile(event) || inCall()) return;
      event.preventDefault();
      this.open(event.dataTransfer?.files[0]);
    });
  }

  private choose(file: File | undefined): void {
    if (file === undefined) return;
    this.input.value = '';
    if (!TYPES.includes(file.type)) {
      this.tell('bad', ['That is neither a PNG nor a JPEG file. Save it as one of them first.']);
      return;
    }
    // the one before is gone first: the same file again would be the same avatar
    void this.discard().then(() => {
      this.file = file;
      return this.send();
    });
  }

  /** Lets the gateway make an avatar of the file; the one made before is deleted. */
  private async send(landmarks?: OfFace<Point>): Promise<void> {
    const [client, file] = [this.o.client(), this.file];
    if (client === undefined || file === undefined) return;
    this.sending?.abort();
    const sending = new AbortController();
    this.sending = sending;
    this.tell('busy', ['Looking for eyes and mouth…']);
    this.enable(false);
    try {
      const options = landmarks === undefined ? {} : { landmarks };
      const avatar = await client.createAvatar(file, { name: nameOf(file), ...options }, sending.signal);
      const before = this.avatar;
      this.avatar = avatar;
      if (before !== undefined && before.id !== avatar.id) void client.deleteAvatar(before.id).catch(() => undefined);
      if (sending.signal.aborted) await this.discard();
      else await this.showFound(avatar);
    } catch (thrown) {
      if (!sending.signal.aborted) await this.showRefusal(file, thrown as TalkMeshError, landmarks);
    } finally {
      if (this.sending === sending) this.sending = undefined;
    }
  }

  private async showFound(avatar: OwnAvatar): Promise<void> {
    await this.showImage(avatar.image);
    this.handles.place(avatar.source.crop, avatar.source.landmarks);
    const { fits, reasons } = avatar.verdict;
    if (fits) this.tell('good', ['Eyes and mouth were found, and the picture suits the model.']);
    else this.tell('mild', ['It can talk, but:', ...reasons.map(({ text }) => `${sentence(text)}`)]);
    this.enable(true);
  }

  /** Where nothing was found the handles are put by hand, on the whole picture. */
  private async showRefusal(file: File, error: TalkMeshError, tried: OfFace<Point> | undefined): Promise<void> {
    const byHand = error.reason === 'FACE_NOT_FOUND' || error.reason === 'ARGUMENT_INVALID';
    // what follows the semicolon is for programs: here the marks say it
    const lines = [sentence(error.message.split(';')[0] ?? '')];
    if (byHand) lines.push('Put the three marks on mouth and eyes, then press “Use these places”.');
    show(this.view, byHand);
    if (byHand) {
      await this.showImage(await dataUrl(file));
      this.handles.place(wholeOf(this.image), tried);
    }
    this.tell('bad', lines);
    this.enable(true);
    show(this.buttons.take, false);
    show(this.buttons.again, byHand);
  }

  private moved(): void {
    show(this.buttons.again, true);
  }

  private take(): void {
    if (this.avatar === undefined) return;
    this.taken = true;
    this.dialog.close();
    this.o.onTaken(this.avatar);
  }

  /** What was made and not taken is not left behind. */
  private async closed(): Promise<void> {
    this.sending?.abort();
    if (!this.taken) await this.discard();
    this.avatar = undefined;
    this.file = undefined;
  }

  private async discard(): Promise<void> {
    const { avatar } = this;
    this.avatar = undefined;
    if (avatar !== undefined) await this.delete(avatar.id).catch(() => undefined);
  }

  private reset(): void {
    this.taken = false;
    this.avatar = undefined;
    this.file = undefined;
    show(this.view, false);
    this.tell('idle', []);
    for (const button of Object.values(this.buttons)) show(button, false);
  }

  private enable(enabled: boolean): void {
    this.handles.enable(enabled);
    show(this.buttons.again, false);
    show(this.buttons.take, enabled && this.avatar !== undefined);
    show(this.buttons.remove, enabled && this.avatar !== undefined);
  }

  private async showImage(url: string): Promise<void> {
    this.image.src = url;
    await this.image.decode().catch(() => undefined);
    show(this.view, true);
  }

  private tell(mood: 'idle' | 'busy' | 'good' | 'mild' | 'bad', lines: readonly string[]): void {
    this.verdict.dataset['mood'] = mood;
    const paragraphs = lines.map((line) => {
      const paragraph = document.createElement('p');
      paragraph.textContent = line;
      return paragraph;
    });
    this.verdict.replaceChildren(...paragraphs);
  }
}

/** The square that holds the whole picture, as the page shows it. */
function wholeOf({ naturalWidth: width, naturalHeight: height }: HTMLImageElement): Shown {
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
