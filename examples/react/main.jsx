import { TalkMesh } from '@talkmesh/client/react';
import { useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';

function App() {
  const [avatar, setAvatar] = useState('mia');
  const [state, setState] = useState('new');
  const [problem, setProblem] = useState('');
  const mesh = useRef(null);
  return (
    <>
      <h1>Talk to {avatar}</h1>
      <label>
        Avatar{' '}
        <select value={avatar} onChange={(event) => setAvatar(event.target.value)}>
          <option>mia</option>
          <option>kenji</option>
        </select>
      </label>
      <TalkMesh
        key={avatar}
        ref={mesh}
        baseUrl="https://talk.example.com"
        tokenUrl="/token"
        avatar={avatar}
        microphone={false}
        style={{ maxWidth: '24rem' }}
        onState={setState}
        onError={(error) => setProblem(error.message)}
      />
      <button type="button" onClick={() => mesh.current.call?.say('This line comes from React.')}>
        Greet
      </button>
      <p>
        State: <output>{state}</output> {problem}
      </p>
    </>
  );
}

createRoot(document.getElementById('app')).render(<App />);
